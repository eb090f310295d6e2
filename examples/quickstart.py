"""Fit every estimator to real data, and read the ELBO of each fit as a sum of entropies.

Run it with ``python examples/quickstart.py``; it takes a few seconds and needs nothing but the package itself.
"""

from time import perf_counter

import numpy as np
from sklearn.datasets import load_digits, load_linnerud, load_wine

from skentropy import (
    PPCA,
    ExponentialFamilyMixture,
    FactorAnalysis,
    GammaMixture,
    PoissonMixture,
    SigmoidBeliefNet,
)

digits = load_digits().data  # 8 x 8 images of 1,797 handwritten digits: counts from 0 to 16
wine = load_wine().data  # 13 measurements of 178 wines: positive amounts
exercise = load_linnerud().data  # chin-ups, sit-ups and jumps of 20 men: counts
scaled = wine / wine.std(axis=0)

jobs = [
    ("counts of exercises", PoissonMixture(2, random_state=0), exercise),
    ("digits as counts of ink", PoissonMixture(10, prior_counts=0.1, random_state=0), digits),
    ("amounts in wine", GammaMixture(3, random_state=0), wine),
    ("digits as black and white", ExponentialFamilyMixture("bernoulli", 10, prior_counts=1, random_state=0), digits > 7),
    ("components of wine, as many as the BIC says", PPCA("bic"), scaled),
    ("factors of wine", FactorAnalysis(3, rotation="varimax"), scaled),
    ("binary causes of digits", SigmoidBeliefNet(4, binarize=7.5, random_state=0), digits),
]
for title, model, X in jobs:
    start = perf_counter()
    model.fit(X)
    seconds = perf_counter() - start
    print(f"{title}: {model}")
    print(f"  {X.shape[0]} x {X.shape[1]}, {model.n_iter_} steps, {seconds:.2f} s")
    if hasattr(model, "predict"):
        print(f"  sizes of the clusters {np.sort(np.bincount(model.predict(X)))[::-1]}")
    else:
        print(f"  largest loadings {np.abs(model.components_).max(axis=1).round(2)}")
    print(f"  ELBO {model.score(X):.6f}, entropy sum {model.entropy_sum_score():.6f}, gap {model.stationarity_gap():.1e}")
    print("  " + str(model.entropy_sum()).replace("\n", "\n  ") + "\n")
