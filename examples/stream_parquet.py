"""
A Parquet file that does not fit in memory
==========================================

**Question:** can a model be fitted to a file that is read part by part, and is it the same model?

``RowBlocks`` takes a function that returns a new iterator over blocks of rows. Each pass of EM calls the function once and reads
the file row group by row group. Memory holds one row group at a time. The data are the visits to a doctor of 20,190
person-years, in ten row groups.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import statsmodels.api as sm

from skentropy import NegativeBinomialMixture, RowBlocks

visits = sm.datasets.randhie.load_pandas().data[["mdvis"]].astype(float)
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "visits.parquet"
visits.to_parquet(path, row_group_size=2019)


def read() -> Iterator[pd.DataFrame]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=["mdvis"], batch_size=2019):
            yield batch.to_pandas()


streamed = NegativeBinomialMixture(2, random_state=0).fit(RowBlocks(read))
in_memory = NegativeBinomialMixture(2, random_state=0).fit(visits)
print(f"streamed {streamed.score(RowBlocks(read)):.6f}, in memory {in_memory.score(visits):.6f} nats per person-year")
print(f"passes over the file: {streamed.n_iter_} EM steps, and a few for the starts")

# %%
# The model that comes of it, beside the data.

values = np.arange(26.0)
figure, axes = plt.subplots(figsize=(6, 3.8), layout="constrained")
axes.bar(values, [np.mean(visits["mdvis"] == value) for value in values], color="0.85", label="data")
axes.plot(values, np.exp(streamed.score_samples(pd.DataFrame({"mdvis": values}))), label="fitted to the stream")
axes.set(xlabel="visits in a year", ylabel="share of person-years", yscale="log", ylim=(3e-4, 1))
axes.legend()
plt.show()
folder.cleanup()

# %%
# **Answer:** yes. The streamed fit has the likelihood of the fit in memory, to six decimals.
