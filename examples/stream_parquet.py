"""
A Parquet file that does not fit in memory
==========================================

``RowBlocks`` takes a function that returns a new iterator over blocks of rows; each pass of EM reads the file once, row
group by row group, and memory holds one of them.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import statsmodels.api as sm

from skentropy import ExponentialFamilyMixture, RowBlocks

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "visits.parquet"
    visits = sm.datasets.randhie.load_pandas().endog.to_frame("visits")  # to a doctor, of 20,190 people
    visits.to_parquet(path, row_group_size=2000)

    def read() -> Iterator[pd.DataFrame]:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["visits"]):
                yield batch.to_pandas()

    streamed = ExponentialFamilyMixture("negative_binomial", 2, random_state=0).fit(RowBlocks(read))
    in_memory = ExponentialFamilyMixture("negative_binomial", 2, random_state=0).fit(visits)
    print(streamed.entropy_sum())
    print("streamed", round(streamed.score(RowBlocks(read)), 6), "in memory", round(in_memory.score(visits), 6))
