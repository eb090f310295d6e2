"""Fit every estimator to real data, and read the ELBO of each fit as a sum of entropies.

Run it with ``python examples/quickstart.py``; it takes a few seconds and needs nothing but the package itself.
"""

from time import perf_counter

import numpy as np
from sklearn.datasets import load_digits, load_linnerud, load_wine

from skentropy import ExponentialFamilyMixture, GammaMixture, PoissonMixture

digits = load_digits().data  # 8 x 8 images of 1,797 handwritten digits: counts from 0 to 16
wine = load_wine().data  # 13 measurements of 178 wines: positive amounts
exercise = load_linnerud().data  # chin-ups, sit-ups and jumps of 20 men: counts

jobs = [
    ("counts of exercises", PoissonMixture(2, random_state=0), exercise),
    ("digits as counts of ink", PoissonMixture(10, prior_counts=0.1, random_state=0), digits),
    ("amounts in wine", GammaMixture(3, random_state=0), wine),
    ("digits as black and white", ExponentialFamilyMixture("bernoulli", 10, prior_counts=1, random_state=0), digits > 7),
]
for title, mixture, X in jobs:
    start = perf_counter()
    mixture.fit(X)
    seconds = perf_counter() - start
    print(
        f"{title}: {mixture.n_components} components, {X.shape[0]} x {X.shape[1]}, {mixture.n_iter_} EM steps, {seconds:.2f} s"
    )
    print(f"  sizes of the clusters {np.sort(np.bincount(mixture.predict(X)))[::-1]}")
    print(
        f"  ELBO {mixture.score(X):.6f}, entropy sum {mixture.entropy_sum_score():.6f}, gap {mixture.stationarity_gap():.1e}"
    )
    print("  " + str(mixture.entropy_sum()).replace("\n", "\n  ") + "\n")
