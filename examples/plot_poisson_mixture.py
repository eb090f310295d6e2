"""
Clusters of images as Poisson rates
===================================

**Question:** which shapes do handwritten digits come in, if nobody says which digit is which?

The pixels of the 8 x 8 digits are counts from 0 to 16, so a Poisson mixture is the model. After each EM step its ELBO is a
sum of entropies, which lies between the log-likelihoods before and after the step.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skentropy import PoissonMixture

digits = load_digits().data
mixture = PoissonMixture(20, prior_counts=0.1, random_state=0).fit(digits)

# %%
# The rates of the 20 components, largest component first, with the share of the digits that each explains.

figure, panels = plt.subplots(4, 5, figsize=(5, 4.6), layout="constrained")
for axes, component in zip(panels.ravel(), np.argsort(-mixture.weights_), strict=True):
    axes.imshow(mixture.rates_[component].reshape(8, 8), cmap="gray_r")
    axes.set_title(f"{mixture.weights_[component]:.1%}", fontsize=9, pad=2)
    axes.set_axis_off()

# %%
# The log-likelihood and the entropy sum of the first fifteen steps.

figure, axes = plt.subplots(figsize=(6, 3.8), layout="constrained")
steps = np.arange(1, mixture.n_iter_ + 1)
axes.plot(steps, mixture.lower_bounds_, "o-", markersize=3, label="log-likelihood after the step")
axes.plot(steps, [terms.value for terms in mixture.entropy_sums_], ".-", markersize=3, label="entropy sum of the step")
axes.set(xlabel="EM step", ylabel="nats per sample", xlim=(0, 15.5))
axes.legend(loc="lower right")
plt.show()

# %%
# **Answer:** twenty prototypes, most of them recognisable digits in two or three handwritings. The entropy sum of
# each step lies between the log-likelihoods before and after it.
