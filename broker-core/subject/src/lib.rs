//! Subjects, wildcards and the interest index.
