"""
Clusters of images as Poisson rates
===================================

**Question:** which shapes do handwritten digits come in, if nobody says which digit is which?

A Poisson mixture of the 8 x 8 digits, whose pixels are counts from 0 to 16, and the entropy sum along the EM steps: after
each of them the ELBO is a sum of entropies, which lies between the log-likelihoods before and after.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skentropy import PoissonMixture

digits = load_digits().data
mixture = PoissonMixture(20, prior_counts=0.1, random_state=0).fit(digits)

figure = plt.figure(figsize=(10, 4.5), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1.2, 1])
left.suptitle("Rates of the 20 components, largest first")
for axes, component in zip(left.subplots(4, 5).ravel(), np.argsort(-mixture.weights_), strict=True):
    axes.imshow(mixture.rates_[component].reshape(8, 8), cmap="gray_r")
    axes.set_title(f"{mixture.weights_[component]:.1%}", fontsize=8, pad=2)
    axes.set_axis_off()

axes = right.subplots()
steps = np.arange(1, mixture.n_iter_ + 1)
axes.plot(steps, mixture.lower_bounds_, "o-", markersize=3, label="log-likelihood after the step")
axes.plot(steps, [terms.value for terms in mixture.entropy_sums_], ".-", markersize=3, label="entropy sum of the step")
axes.set(xlabel="EM step", ylabel="nats per sample")
right.suptitle("ELBO and entropy sum of each step")
axes.legend(loc="lower right")
plt.show()

# %%
# **Answer:** twenty prototypes, most of them recognisable digits in two or three handwritings. The entropy sum of
# each step lies between the log-likelihoods before and after it.
