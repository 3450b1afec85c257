"""What is told of a small Zero123: checkpoint and objects go in, scores, tables and figures come out.

``subjects`` are the objects and their true pictures, ``studies`` say what is made of them, ``scores`` compare
the two, ``bench`` does it object by object into a ``folder``, ``results`` reads that folder, ``tables``,
``charts``, ``figures`` and ``page`` make the document out of it.
"""
