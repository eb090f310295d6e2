"""
Rows and fits on a Dask cluster
===============================

**Question:** can a fit use the processes of a cluster, and are its numbers those of one process?

A cluster helps in two ways. A Dask array stays where it is: the workers sum over their own partitions in each pass of EM, and only
parameters and sums travel. Where the data are small and the fits are many, joblib's Dask backend sends whole fits to the workers:
restarts, the candidates of a ranking, the candidates of a search. Both are shown here on two processes of this machine, by
visits to a doctor, images of digits and measurements of wines.
"""

import dask.array as da
import matplotlib.pyplot as plt
import statsmodels.api as sm
from distributed import Client, LocalCluster
from joblib import parallel_config
from sklearn.datasets import load_digits, load_wine

from skentropy import PPCA, EntropySumSearch, FactorAnalysis, PoissonMixture, rank_models


def main() -> None:
    visits = sm.datasets.randhie.load_pandas().endog.to_numpy(dtype=float)[:, None]  # to a doctor, of 20,190 person-years
    digits, wine = load_digits().data, load_wine().data
    wine /= wine.std(axis=0)
    here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}  # any free port
    with LocalCluster(n_workers=2, threads_per_worker=1, **here) as cluster, Client(cluster):
        partitions = da.from_array(visits, chunks=(5000, 1)).persist()
        mixture = PoissonMixture(3, random_state=0).fit(partitions)
        print(f"on the cluster: score {mixture.score(partitions):.6f}")
        print("predictions stay there, as a lazy", type(mixture.predict(partitions)).__module__)

        with parallel_config(backend="dask"):
            restarts = PoissonMixture(10, n_init=4, prior_counts=0.01, random_state=0, n_jobs=-1).fit(digits)
            ranking = rank_models([PPCA("bic"), FactorAnalysis(2), FactorAnalysis(3)], wine, n_jobs=-1)
            grid = {"n_components": [2, 4, 8]}
            search = EntropySumSearch(PoissonMixture(prior_counts=0.01, random_state=0), grid, n_jobs=-1).fit(digits)
    print(f"in one process: score {PoissonMixture(3, random_state=0).fit(visits).score(visits):.6f}")
    print(f"best of four starts: {restarts.lower_bound_:.4f}")
    print(ranking)
    print("found", search.best_params_)
    ranking.plot()


if __name__ == "__main__":  # the processes of a cluster import this file
    main()
    plt.show()

# %%
# **Answer:** yes. The fit on the cluster has the score of the fit in one process, and the ranking and the search come back as if
# they had been run here.
