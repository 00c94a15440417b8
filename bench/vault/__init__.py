"""The vault beside the tools people use today: small items and volumes, whole processes, one interleaved run."""
