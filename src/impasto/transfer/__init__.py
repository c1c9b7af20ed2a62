"""From a content and its styles to the sample that minimizes J, coarse to fine."""
