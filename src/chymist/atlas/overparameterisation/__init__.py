"""Networks with more weights than data: one study a file."""
