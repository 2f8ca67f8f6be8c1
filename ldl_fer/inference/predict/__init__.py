"""Label distributions of the faces in pictures and videos."""
