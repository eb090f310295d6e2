"""
Rows and fits on a Dask cluster
===============================

A Dask array stays where it is: each pass of EM is a sum that the workers compute over their own partitions, and only
parameters and sums travel. Where the data are small and the fits are many, joblib's Dask backend sends whole fits to the
workers instead: restarts, candidates of a ranking, candidates of a search. Either way the numbers are those of one process.
"""

import dask.array as da
import statsmodels.api as sm
from distributed import Client, LocalCluster
from joblib import parallel_config
from sklearn.datasets import load_digits, load_wine

from skentropy import PPCA, EntropySumSearch, FactorAnalysis, PoissonMixture, rank_models


def main() -> None:
    visits = sm.datasets.randhie.load_pandas().endog.to_numpy(dtype=float)[:, None]  # to a doctor, of 20,190 people
    digits, wine = load_digits().data, load_wine().data
    wine /= wine.std(axis=0)
    here = {"host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(n_workers=2, threads_per_worker=1, **here) as cluster, Client(cluster):
        partitions = da.from_array(visits, chunks=(5000, 1)).persist()
        mixture = PoissonMixture(3, random_state=0).fit(partitions)
        print("rates", mixture.rates_.ravel().round(2), "score", round(mixture.score(partitions), 4))
        print("lazy", type(mixture.predict(partitions)).__module__)

        with parallel_config(backend="dask"):
            restarts = PoissonMixture(10, n_init=4, prior_counts=0.01, random_state=0, n_jobs=-1).fit(digits)
            ranking = rank_models([PPCA("bic"), FactorAnalysis(2), FactorAnalysis(3)], wine, n_jobs=-1)
            grid = {"n_components": [2, 4, 8]}
            search = EntropySumSearch(PoissonMixture(prior_counts=0.01, random_state=0), grid, n_jobs=-1).fit(digits)
    print("best of four starts", round(restarts.lower_bound_, 4))
    print(ranking)
    print("found", search.best_params_)


if __name__ == "__main__":
    main()
