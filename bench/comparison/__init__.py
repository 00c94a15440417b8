"""Measures unwipe beside the tools that people use today, interleaved in the same run."""
