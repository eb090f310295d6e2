"""
Handwritten digits by a variational autoencoder
===============================================

**Question:** does a net on top of PPCA see digits better, and fill in missing pixels better?

``GaussianVAE`` starts where ``PPCA`` ends and bends from there. Two latent variables make a map of the digits, and ten fill in missing
pixels. The ELBO is a sum of entropies after every epoch.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skentropy import PPCA, GaussianVAE
from skentropy.inspection import EntropyDecompositionDisplay

X, y = load_digits(return_X_y=True)
X = X / 16
train, test, _, labels = train_test_split(X, y, test_size=0.25, random_state=0)

planes = [PPCA(2).fit(train), GaussianVAE(2, random_state=0).fit(train)]
linear, bent = PPCA(10).fit(train), GaussianVAE(10, random_state=0).fit(train)
for h, pair in ((2, planes), (10, (linear, bent))):
    scores = ", ".join(f"{type(model).__name__} {model.score(test):.1f}" for model in pair)
    print(f"H = {h}: held-out {scores} nats an image")

# %%
# Two latent variables make a map. The figure shows where the held-out digits lie in PPCA's plane and in that of the autoencoder.

figure, axes = plt.subplots(1, 2, figsize=(6, 3.3), layout="constrained")
for ax, model in zip(axes, planes, strict=True):
    z = model.transform(test)
    dots = ax.scatter(*z.T, c=labels, cmap="tab10", vmin=-0.5, vmax=9.5, s=6)
    ax.set(xlabel="latent 0", ylabel="latent 1", title=f"{type(model).__name__}:\n{model.score(test):.1f} nats an image")
figure.colorbar(dots, ax=axes, ticks=range(10), label="digit")

# %%
# Now three tenths of all pixels are missing, also in the training data. ``impute`` fills them in.

rng = np.random.default_rng(0)
gaps_train, gaps_test = (np.where(rng.random(Z.shape) < 0.3, np.nan, Z) for Z in (train, test))
missing = np.isnan(gaps_test)
bent, linear = GaussianVAE(10, random_state=0).fit(gaps_train), PPCA(10).fit(gaps_train)
fillings = {
    "PPCA": np.where(missing, linear.inverse_transform(linear.transform(gaps_test)), gaps_test),
    "GaussianVAE": bent.impute(gaps_test),
}
for name, filled in fillings.items():
    print(f"{name}: root mean squared error {np.sqrt(np.mean((filled - test)[missing] ** 2)):.3f} of the missing pixels")

figure, panels = plt.subplots(4, 8, figsize=(6, 3.4), layout="constrained")
rows = {"image": test, "seen": gaps_test, **fillings}
for line, (name, images) in zip(panels, rows.items(), strict=True):
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for ax, image in zip(line, images, strict=False):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[], facecolor="tab:orange")

# %%
# The entropies over the epochs. The noise falls, and so does the entropy of the pixels. The posteriors become more certain. The last
# point is the fitted model, whose posteriors take two steps more than those of the encoder, with which the net is trained.

EntropyDecompositionDisplay.from_estimator(bent).figure_.set_size_inches(6, 4.5)
plt.show()

# %%
# **Answer:** yes, by 13 nats an image with two latent variables and by more than 20 with ten. The error of missing
# pixels falls by almost a quarter.
