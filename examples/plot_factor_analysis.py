"""
Factors of wine, their rotation and their uncertainty
=====================================================

**Question:** which properties of wine go together, and how certain is that when a tenth of the measurements is
missing?

The data are thirteen chemical measurements of 178 Italian wines. The likelihood leaves the rotation of the loadings
open. Varimax and oblimin choose simple loadings, which changes neither the likelihood nor the entropy sum. Standard errors
say which loadings can be told from zero. Then a tenth of the entries is deleted at random, and the model is fitted to what
is left.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine

from skentropy import FactorAnalysis

wine = load_wine()
names = [name.replace("_of_diluted_wines", "").replace("_", " ") for name in wine.feature_names]
X = (wine.data - wine.data.mean(axis=0)) / wine.data.std(axis=0)

fits = {rotation: FactorAnalysis(3, rotation=rotation).fit(X) for rotation in (None, "varimax", "oblimin")}
for rotation, fit in fits.items():
    print(f"{rotation!s:8} log-likelihood {fit.score(X):.6f}, entropy sum {fit.entropy_sum_score():.6f} nats per wine")
print(fits["oblimin"].factor_correlation_.round(2))

# %%
# The entropy sum, term by term. At the maximum it needs the parameters alone.

print(fits["varimax"].entropy_sum())

# %%
# Loadings with an interval of two standard errors, from all entries and from data with gaps.

rng = np.random.default_rng(0)
gaps = np.where(rng.random(X.shape) < 0.1, np.nan, X)
incomplete = FactorAnalysis(3, rotation="varimax").fit(gaps)
complete = fits["varimax"]
# The order and signs of factors are free.
overlap = incomplete.components_ @ complete.components_.T
order = np.abs(overlap).argmax(axis=0)
signs = np.sign(overlap[order, range(3)])[:, np.newaxis]

figure, panels = plt.subplots(1, 3, figsize=(6, 4.5), layout="constrained")
places = np.arange(13)
errors, errors_with_gaps = complete.standard_errors(), incomplete.standard_errors(gaps)
style = {"fmt": "o", "markersize": 4}
for factor, axes in enumerate(panels):
    axes.axvline(0, color="0.8", linewidth=1)
    bar = 2 * errors["components"][factor]
    axes.errorbar(complete.components_[factor], places - 0.15, xerr=bar, label="all entries", **style)
    bar = 2 * errors_with_gaps["components"][order[factor]]
    loadings = signs[factor] * incomplete.components_[order[factor]]
    axes.errorbar(loadings, places + 0.15, xerr=bar, label="10% deleted", **style)
    axes.set(title=f"factor {factor + 1}", xlabel="loading", ylim=(12.6, -0.6), xlim=(-1.2, 1.2))
    axes.set_yticks(places, names if factor == 0 else [])
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)

# %%
# Where the wines lie, by the first two factors. The colours are the cultivars, which the fit has not seen.

scores = complete.transform(X)
figure, axes = plt.subplots(figsize=(5.5, 4), layout="constrained")
for kind, label in enumerate(wine.target_names):
    axes.scatter(*scores[wine.target == kind, :2].T, s=15, label=f"cultivar {label[-1]}")
axes.set(xlabel="score of factor 1", ylabel="score of factor 2")
axes.legend(loc="lower left")
plt.show()

# %%
# **Answer:** three factors: phenols and flavanoids; alcohol, colour and proline; ash and its alcalinity. Gaps widen
# the intervals a little and move no loading beyond them. The first two factors tell the three cultivars apart,
# although the fit did not know them.
