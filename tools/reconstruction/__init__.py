"""What is told of reconstruction: objects whose shape is known go in, scores, tables and sheets come out.

``scenes`` and ``solids`` are objects in closed form and their surfaces, ``subjects`` all objects with true
views and meshes, ``spins`` what a model makes of them, ``systems`` what is compared, ``runs`` the command
that is measured, ``scores`` what its meshes are worth, ``bench`` does it object by object, ``results`` reads
what that left, ``tables``, ``sheets`` and ``page`` make the document out of it.
"""
