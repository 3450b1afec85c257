"""What is told of segmenters: rendered objects and photographs go in, scores, tables and a picture come out.

``photographs`` are the grounds, ``composites`` puts objects before them, ``scores`` compares an alpha with
the true one, ``bench`` does it case by case into a folder, ``results`` reads that folder, ``report`` makes
the tables and the picture of the document out of it.
"""
