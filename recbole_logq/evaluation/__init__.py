"""What models are measured by, beside RecBole's metrics."""
