"""The checks, a module for each group of docs/connectors/conformance.md."""
