"""A bucket that speaks S3: signatures, conditions and multipart uploads as the real one, and its faults on demand."""
