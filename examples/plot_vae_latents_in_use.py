"""
Latents in use, and posterior collapse
======================================

**Question:** how many latent variables does a curve need, and what becomes of those that are too many?

A curve in twelve dimensions, with noise: four linear latent variables span it, two or three that bend suffice, and any more
find little to tell. Where a latent tells nothing its posterior has collapsed to the prior, and its entropies say so. How many to
take is decided by rows that were not fitted.
"""

import matplotlib.pyplot as plt
import numpy as np

from skentropy import PPCA, GaussianVAE, rank_models
from skentropy.inspection import LatentInformationDisplay

rng = np.random.default_rng(0)
angle = rng.uniform(-2.8, 2.8, size=(1500, 1))
waves = np.hstack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)])
X = waves @ rng.normal(size=(4, 12)) + 0.3 * rng.normal(size=(1500, 12))

# %%
# With six latents: what each tells of a row, in nats. PPCA's come in closed form, -1/2 log of the posterior's variance.

figure, axes = plt.subplots(2, 1, figsize=(6, 5), layout="constrained", sharex=True)
for ax, model in zip(axes, (PPCA(6), GaussianVAE(6, random_state=0)), strict=True):
    LatentInformationDisplay.from_estimator(model.fit(X), X, ax=ax)
    ax.set_title(f"{type(model).__name__}(6)")
print("collapsed:", model.collapsed_)

# %%
# The entropy sum of the training data grows with every latent. A quarter of the rows, held out, tells how many to take.

sizes = (1, 2, 3, 4, 5, 6)
models = {f"{kind.__name__}({h})": kind(h) for kind in (PPCA, GaussianVAE) for h in sizes}
for model in models.values():
    if isinstance(model, GaussianVAE):
        model.set_params(random_state=0)
ranking = rank_models(models, X, "validation", random_state=0)
print(ranking)

values = dict(zip((row.name for row in ranking), ranking.values_, strict=True))
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for kind in ("PPCA", "GaussianVAE"):
    ax.plot(sizes, [values[f"{kind}({h})"] for h in sizes], "o-", label=kind)
ax.set(xlabel="latent variables", ylabel="held-out score, nats per row", title="how many latents")
ax.legend()
plt.show()

# %%
# **Answer:** two that bend do what takes four linear ones. Further ones find little to tell, and the last one
# collapses: its posterior is the prior.
