"""Label audits of trained networks: find, review and correct wrong labels,
and describe the network in a model card."""

from mlc_tf.audit.annotators import VotesAudit
from mlc_tf.audit.annotators import audit_votes
from mlc_tf.audit.datalab import to_datalab
from mlc_tf.audit.label_audit import Audit
from mlc_tf.audit.label_audit import audit_labels
from mlc_tf.audit.label_audit import check_clean_set
from mlc_tf.audit.label_audit import find_label_issues
from mlc_tf.audit.label_audit import noise_matrix
from mlc_tf.audit.label_audit import pick_to_check
from mlc_tf.audit.label_audit import scores

__all__ = [
    "Audit",
    "VotesAudit",
    "audit_labels",
    "audit_votes",
    "check_clean_set",
    "find_label_issues",
    "noise_matrix",
    "pick_to_check",
    "scores",
    "to_datalab",
]
