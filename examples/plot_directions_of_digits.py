"""
Digits in light and dark ink: groups of directions
==================================================

**Question:** which groups of handwritten digits stay the same if every writer takes another pen?

A darker pen multiplies all pixels of an image. The direction of the row, as a vector of 64 pixels, stays as it is, and its length changes.
A ``VonMisesFisherMixture`` is a model of directions alone. What k-means compares are positions, of which lengths are a part.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from skentropy import VonMisesFisherMixture

images, digits = load_digits(return_X_y=True)
darkness = np.random.default_rng(0).uniform(0.2, 1.0, size=(len(images), 1))
pens = darkness * images

# %%
# The adjusted Rand index compares groups with the digits that were meant: one where they agree, zero where they agree by chance.

models = {
    "k-means": KMeans(10, n_init=4, random_state=0),
    "k-means of unit rows": make_pipeline(Normalizer(), KMeans(10, n_init=4, random_state=0)),
    "von Mises-Fisher": VonMisesFisherMixture(10, random_state=0),
}
agreement = {
    name: [adjusted_rand_score(digits, model.fit(X).predict(X)) for X in (images, pens)] for name, model in models.items()
}
for name, (one, many) in agreement.items():
    print(f"{name:20} one pen {one:.2f}, many pens {many:.2f}")

# %%
# The last fit is of directions, and ends where its entropy sum is its log-likelihood.

mixture = models["von Mises-Fisher"]
print(f"log-likelihood {mixture.score(pens):.6f}, entropy sum {mixture.entropy_sum_score():.6f} nats per image")

# %%
# Mean directions are images. The concentration says how alike the images of a group are; the title also says which digit is the most
# frequent one, and its share of the group.

groups = mixture.predict(pens)
figure, axes = plt.subplots(2, 5, figsize=(6, 4), layout="constrained")
order = np.argsort(-mixture.concentrations_)
for axis, group in zip(axes.ravel(), order, strict=True):
    counts = np.bincount(digits[groups == group], minlength=10)
    axis.imshow(mixture.means_[group].reshape(8, 8), cmap="gray_r")
    axis.set_title(f"{counts.argmax()}: {counts.max() / counts.sum():.0%}\n$\\kappa$ = {mixture.concentrations_[group]:.0f}")
    axis.set_axis_off()

width = 0.35
figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
for i, label in enumerate(("one pen", "many pens")):
    axis.bar(np.arange(3) + (i - 0.5) * width, [values[i] for values in agreement.values()], width, label=label)
axis.set_xticks(np.arange(3), list(agreement))
axis.set(ylabel="adjusted Rand index", ylim=(0, 0.8))
axis.legend(loc="upper left", ncols=2)
plt.show()

# %%
# **Answer:** groups of directions. Many pens take more than two thirds of what k-means knows of the digits, and take nothing once rows
# have unit length. The mixture also says how alike the images of a group are: zeros are the most alike. One group holds
# threes and nines, and ones fall into two groups. K-means of unit rows, whose groups are all equally wide, is a little nearer to the digits.
