"""
A stream whose dimension changes
================================

Rows with D = 10 come in batches. The number of latent dimensions that generates them changes from 6 to 2 and then to 4;
the noise has standard deviation 0.1 throughout. ``partial_fit`` keeps the weighted count, mean and scatter, discounts
them by a forgetting factor, and has the entropy sum of the PPCA with every H after each batch, without ever touching
old rows again. The H with the lowest Bayesian information criterion follows the truth.
"""

import matplotlib.pyplot as plt
import numpy as np

from skentropy import PPCA

rng = np.random.default_rng(0)
D, NOISE, ROWS, BATCHES = 10, 0.1, 200, 30
truth = np.repeat([6, 2, 4], BATCHES)

model = PPCA("bic", forgetting_factor=0.6)
chosen, paths, noise = [], [], []
loadings = None
for batch, h in enumerate(truth):
    if batch == 0 or truth[batch - 1] != h:
        loadings = np.linalg.qr(rng.normal(size=(D, h)))[0] * rng.uniform(0.7, 1.5, h)
    X = rng.normal(size=(ROWS, h)) @ loadings.T + NOISE * rng.normal(size=(ROWS, D))
    model.partial_fit(X)
    chosen.append(model.n_components_)
    paths.append(model.entropy_sum_path_)
    noise.append(np.sqrt(model.noise_variance_))

settled = np.arange(len(truth)) % BATCHES >= 20
print(f"H right in {np.mean(np.equal(chosen, truth)[settled]):.0%} of the last 10 batches of each regime")

# %%
# While the forgetting factor still lets the old subspace through, H is that of the old and the new one together.

figure, (top, bottom) = plt.subplots(2, 1, figsize=(8, 5.5), sharex=True, layout="constrained")
top.step(range(len(truth)), truth, where="mid", color="0.7", linewidth=4, label="true H")
top.plot(chosen, ".-", label="chosen H")
top.set(ylabel="latent dimensions", ylim=(0, 10))
top.legend(loc="upper right")
for h in (1, 2, 4, 6):
    bottom.plot([path[h] for path in paths], label=f"H = {h}")
bottom.set(xlabel="batch of 200 rows", ylabel="entropy sum, nats per row")
bottom.legend(loc="upper left", ncols=2)
plt.show()
