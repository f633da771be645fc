"""Rankings, and what models are measured by beside RecBole's metrics."""
