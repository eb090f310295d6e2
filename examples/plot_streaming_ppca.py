"""
A stream whose dimension changes
================================

**Question:** can the number of latent dimensions be followed while it changes?

This is the experiment of Damm et al. (2023). Rows with D = 10 come in batches of 100. There are six orthogonal directions, whose standard
deviations go from 5 to 1. At first all six are in use, then two of them, and then four. The noise has a standard deviation of 0.1. (The data are
simulated, because only then is the dimension known.) ``partial_fit`` keeps the weighted count, mean and scatter, and discounts
them by a forgetting factor. After each batch it has the entropy sums of all numbers of components H, and never touches
old rows again. The H with the lowest Bayesian information criterion follows the truth.
"""

import matplotlib.pyplot as plt
import numpy as np

from skentropy import PPCA

rng = np.random.default_rng(0)
D, NOISE, ROWS, BATCHES = 10, 0.1, 100, 30
truth = np.repeat([6, 2, 4], BATCHES)

model = PPCA("bic", forgetting_factor=0.6)
chosen, paths = [], []
loadings = np.linalg.qr(rng.normal(size=(D, 6)))[0] * np.linspace(5, 1, 6)
for h in truth:
    X = rng.normal(size=(ROWS, h)) @ loadings[:, :h].T + NOISE * rng.normal(size=(ROWS, D))
    model.partial_fit(X)
    chosen.append(model.n_components_)
    paths.append(model.entropy_sum_path_)

settled = np.arange(len(truth)) % BATCHES >= 20
print(f"H right in {np.mean(np.equal(chosen, truth)[settled]):.0%} of the last 10 batches of each regime")

# %%
# Directions that are no longer in use count until the forgetting factor has discounted their rows. New directions count at once.

figure, (top, bottom) = plt.subplots(2, 1, figsize=(6, 4.8), sharex=True, layout="constrained")
top.step(range(len(truth)), truth, where="mid", color="0.7", linewidth=4, label="true H")
top.plot(chosen, ".-", label="chosen H")
top.set(ylabel="latent dimensions", ylim=(0, 10))
top.legend(loc="upper right")
for h in (2, 4, 6):
    bottom.plot([path[h] for path in paths], label=f"H = {h}")
bottom.set(xlabel="batch of 100 rows", ylabel="entropy sum, nats per row")
bottom.legend(loc="upper left", ncols=2)
plt.show()

# %%
# **Answer:** yes. Within fifteen batches of each change the criterion finds the new dimension, without a look at old
# rows.
