"""
Voters of 1996: a table with columns of several kinds
=====================================================

**Question:** which kinds of voters answered the American National Election Study of 1996?

Age is a measurement. Income is a code of 24 brackets, and is treated as a measurement. The evenings with television
news are counts, the vote is yes or no, and party and education are names. A ``ColumnMixture`` takes the table as it is, with its gaps. The criterion of a ranking says
how many kinds there are.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import statsmodels.api as sm

from skentropy import GaussianMixture, make_column_mixture, rank_models

survey = sm.datasets.anes96.load_pandas().data
parties = np.array(["strong D", "weak D", "leans D", "independent", "leans R", "weak R", "strong R"])
schools = np.array(["grades", "some high school", "high school", "some college", "college", "master", "doctor"])
table = survey[["age", "income", "TVnews"]].assign(
    dole=survey["vote"] == 1,
    party=parties[survey["PID"].astype(int)],
    school=schools[survey["educ"].astype(int) - 1],
)
table = table.mask(np.random.default_rng(0).random(table.shape) < 0.05)  # some did not answer

# %%
# One to six kinds of voters, ranked by the entropy sums of their fits. Age and income are correlated given the kind.

models = {
    f"K = {k}": make_column_mixture(
        (GaussianMixture(covariance_type="full"), ["age", "income"]),
        ("poisson", ["TVnews"]),
        ("bernoulli", ["dole"]),
        ("categorical", ["party", "school"]),
        n_components=k,
        prior_counts=1.0,
        random_state=0,
    )
    for k in range(1, 7)
}
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    ranking = rank_models(models, table)
print(ranking)

# %%
# What the kinds are, and which columns tell them apart.

best = ranking[0].model
print(best.summary(table))

# %%
# What is missing is imputed by what the kinds of voters say. The figures show the kinds.

unknown = table["party"].isna()
guessed = best.impute(table)["party"]
print("party of the first who did not say:", ", ".join(guessed[unknown][:5]))

kinds = best.predict(table)
width = 0.8 / best.n_components
shares = best.parameters_["categorical"]["probabilities"][:, 0]
names = best.categories_["party"]
order = [list(names).index(party) for party in parties]
figure, left = plt.subplots(figsize=(6, 4.2), layout="constrained")
_, right = plt.subplots(figsize=(6, 3.8), layout="constrained")
for kind, share in enumerate(shares):
    of_kind = kinds == kind
    left.scatter(table["age"][of_kind], table["TVnews"][of_kind] + 0.14 * kind, s=14, alpha=0.6, label=f"kind {kind}")
    right.bar(np.arange(7) + width * (kind - (best.n_components - 1) / 2), share[order], width, label=f"kind {kind}")
left.set(xlabel="age", ylabel="evenings with television news a week")
right.set(ylabel="share of the kind")
right.set_xticks(np.arange(7), parties, rotation=30)
right.legend()
figure.legend(loc="outside lower center", ncols=5, handletextpad=0.1, columnspacing=1)
plt.show()

# %%
# **Answer:** five kinds. Three vote for Clinton: young people without television news, well-off people with it, and older
# people of small incomes with it. Two vote for Dole: older people with television news, and younger ones without it.
