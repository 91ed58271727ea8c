"""Documents from result files: the only way a number gets into one."""

from mlc_tf.launch.paper.report.documents import fill_tables
from mlc_tf.launch.paper.report.results import Row
from mlc_tf.launch.paper.report.results import by_clean_examples
from mlc_tf.launch.paper.report.results import by_condition
from mlc_tf.launch.paper.report.results import load_results
from mlc_tf.launch.paper.report.results import read_results
from mlc_tf.launch.paper.report.results import summarize
from mlc_tf.launch.paper.report.tables import benchmark_table
from mlc_tf.launch.paper.report.tables import beside_paper_table
from mlc_tf.launch.paper.report.tables import campaign_table
from mlc_tf.launch.paper.report.tables import choices_table
from mlc_tf.launch.paper.report.tables import clean_budget_table
from mlc_tf.launch.paper.report.tables import conditions_table
from mlc_tf.launch.paper.report.tables import distances_table
from mlc_tf.launch.paper.report.tables import markdown_table
from mlc_tf.launch.paper.report.tables import matrix_table
from mlc_tf.launch.paper.report.tables import means_table

__all__ = [
    "Row",
    "benchmark_table",
    "beside_paper_table",
    "by_clean_examples",
    "by_condition",
    "campaign_table",
    "choices_table",
    "clean_budget_table",
    "conditions_table",
    "distances_table",
    "fill_tables",
    "load_results",
    "markdown_table",
    "matrix_table",
    "means_table",
    "read_results",
    "summarize",
]
