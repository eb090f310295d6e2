"""
How many components? The entropy sum of every PPCA at once
==========================================================

**Question:** how many components do images of the digit 3 need?

One eigendecomposition of the covariance of 183 images of the digit 3 gives the entropy sum of the probabilistic PCA with every number of
components H. The entropy sum is the log-likelihood, so it gives the Bayesian information criterion of each H, too, without a second pass over
the data. In a second part pixels are missing, and their posterior means fill them in.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score

from skentropy import PPCA

data = load_digits()
digits = data.data[data.target == 3]
digits = digits[:, digits.std(axis=0) > 0.5]  # the others are nearly always empty
print(digits.shape)

model = PPCA("bic").fit(digits)
path = model.entropy_sum_path_
print(f"chosen: H = {model.n_components_}, entropy sum {path[model.n_components_]:.3f} nats per image")

# %%
# Held-out images agree: their log-likelihood, by cross-validation, is highest near the H that the criterion chose. The
# entropy sum itself never falls with H, since it is the log-likelihood of the training data.

some = np.arange(2, 45, 3)
held_out = [cross_val_score(PPCA(int(h)), digits, cv=5).mean() for h in some]

figure, left = plt.subplots(figsize=(6, 4), layout="constrained")
left.plot(path, label="entropy sum = log-likelihood of the training data")
left.plot(some, held_out, "o-", label="log-likelihood of held-out data")
left.axvline(model.n_components_, color="0.6", linestyle=":", label=f"H = {model.n_components_}, chosen by BIC")
left.set(xlabel="number of components H", ylabel="nats per image", ylim=(-135, -84))
left.legend(loc="upper left", fontsize=9)

# %%
# Now a tenth of all pixels is deleted at random. The fit marginalises them, and ``inverse_transform`` of ``transform`` fills them in.

rng = np.random.default_rng(0)
gaps = rng.random(digits.shape) < 0.1
incomplete = np.where(gaps, np.nan, digits)
imputed = {}
for h in (0, 5, 10, 20, 30):
    filled = PPCA(h).fit(incomplete)
    guesses = filled.inverse_transform(filled.transform(incomplete))
    imputed[h] = np.sqrt(np.mean((guesses - digits)[gaps] ** 2))
figure, right = plt.subplots(figsize=(6, 3.6), layout="constrained")
right.plot(list(imputed), list(imputed.values()), "o-")
right.set(xlabel="number of components H", ylabel="root mean square error", title="Imputed pixels (values 0 to 16)")
right.set_ylim(bottom=0)
plt.show()

# %%
# **Answer:** fourteen, by the Bayesian information criterion. The likelihood of held-out images is highest
# there, too. About twenty components fill in missing pixels best.
