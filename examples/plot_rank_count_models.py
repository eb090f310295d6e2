"""
Doctor visits: which mixture of which counts?
=============================================

**Question:** which distribution do visits to a doctor follow, and how many groups of people are there?

The RAND health insurance experiment counted the visits to a doctor in 20,190 person-years. One ranking compares mixtures of
Poisson, geometric and negative binomial distributions. Each is fitted once, and its criterion is read off the fit.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import statsmodels.api as sm

from skentropy import ExponentialFamilyMixture, NegativeBinomialMixture, PoissonMixture, rank_models
from skentropy.inspection import EntropyDecompositionDisplay

visits = sm.datasets.randhie.load_pandas().data[["mdvis"]].to_numpy(float)
print(f"{len(visits)} rows, mean {visits.mean():.2f}, variance {visits.var():.2f}, largest {visits.max():.0f}")

# %%
# A table of frequencies says the same as the rows, in a fraction of the time: weights count copies.

values, counts = np.unique(visits, return_counts=True)
values = values.reshape(-1, 1)
models = {}
for k in (1, 2, 3, 4, 5):
    models[f"Poisson, {k}"] = PoissonMixture(k, random_state=0)
for k in (1, 2, 3):
    models[f"geometric, {k}"] = ExponentialFamilyMixture("geometric", k, random_state=0)
    models[f"negative binomial, {k}"] = NegativeBinomialMixture(k, random_state=0)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # more components than the data can tell apart say so
    ranking = rank_models(models, values, sample_weight=counts)
print(ranking)

# %%
# One Poisson distribution is much too narrow, and two of them have a dip that the data do not have. The best model follows
# the data.

figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
x = np.arange(26)
axes.bar(x, [counts[values[:, 0] == i].sum() / counts.sum() for i in x], color="0.85", label="data")
for name in (ranking[0].name, "Poisson, 2", "Poisson, 1"):
    model = next(row.model for row in ranking if row.name == name)
    axes.plot(x, np.exp(model.score_samples(x.reshape(-1, 1).astype(float))), linewidth=2, label=name)
axes.set(xlabel="visits in a year", ylabel="share of person-years", yscale="log", ylim=(3e-4, 1))
axes.legend()

# %%
# The ranking as a picture. One Poisson distribution is far to the left, outside of it. With so many rows the penalties are too
# small to be seen.

_ = ranking.plot().ax_.set_xlim(-2.45, -2.15)

# %%
# How EM found the best model: the terms of its entropy sum, step by step.

EntropyDecompositionDisplay.from_estimator(ranking.best_).figure_.set_size_inches(6, 4.5)
plt.show()

# %%
# **Answer:** two groups of negative binomial counts. A sixth of the person-years has five visits on average, and varies widely. The
# others have 2.4. Three geometric distributions do nearly as well; Poisson distributions need five groups to come near.
