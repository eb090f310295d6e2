"""
Handwritten digits by a sigmoid belief net
==========================================

**Question:** how many hidden binary variables do the digits need, and does a net explain them better than a mixture
of as many parameters?

The 1,797 digits are black and white images here. A fifth of them is held out. All log-likelihoods are exact.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skentropy import ExponentialFamilyMixture, SigmoidBeliefNet

X = (load_digits().data >= 8).astype(float)
order = np.random.RandomState(0).permutation(len(X))
train, test = X[order[:1437]], X[order[1437:]]

sizes = (1, 2, 3, 4, 5, 6)
nets, mixtures = [], []
for h in sizes:
    nets.append(SigmoidBeliefNet(h, alpha=1.0, random_state=0).fit(train))
    k = round((nets[-1].n_parameters_ + 1) / 65)
    mixtures.append(ExponentialFamilyMixture("bernoulli", k, prior_counts=1.0, random_state=0).fit(train))
    print(
        f"H = {h}: {nets[-1].n_parameters_} parameters, net {nets[-1].score(test):.3f}, "
        f"mixture of {k} {mixtures[-1].score(test):.3f} nats per held-out image"
    )

# %%
# The log-likelihood of the held-out images:

figure, axes = plt.subplots(figsize=(6, 3.8), layout="constrained")
for models, label in ((nets, "sigmoid belief net"), (mixtures, "Bernoulli mixture")):
    axes.plot([m.n_parameters_ for m in models], [m.score(test) for m in models], "o-", label=label)
axes.set(xlabel="parameters", ylabel="held-out log-likelihood, nats per image")
axes.legend()

# %%
# What each hidden variable of the largest net switches on (red) and off (blue), and digits that are drawn from the net:

net = nets[-1]
figure, panels = plt.subplots(3, 6, figsize=(6, 3.2), layout="constrained")
limit = np.abs(net.components_).max()
drawn = net.sample(12, random_state=1)
for axes, weights in zip(panels[0], net.components_, strict=True):
    colours = axes.imshow(weights.reshape(8, 8), cmap="RdBu_r", vmin=-limit, vmax=limit)
for axes, image in zip(panels[1:].ravel(), drawn, strict=True):
    axes.imshow(image.reshape(8, 8), cmap="gray_r")
for axes in panels.ravel():
    axes.set(xticks=[], yticks=[])
figure.colorbar(colours, ax=panels[0], label="logits")
panels[0, 0].set_ylabel("weights")
panels[1, 0].set_ylabel("drawn")
plt.show()

# %%
# **Answer:** more than six, since the held-out likelihood still grows there. With two variables or more the net is ahead of a mixture
# of as many parameters, by about half a nat an image.
