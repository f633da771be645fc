"""Building blocks of the encoders; torch only."""
