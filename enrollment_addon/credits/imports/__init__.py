"""Imports of clients with their opening session credits, from CSV and XLSX.

A file is staged row by row in the database, its columns are named, and a dry run says for every row what would
be created, updated or refused. Only then one background job writes. Rows of one person are taken together, in
one transaction. What was written is remembered by person (`ImportIdentity`) and by credits (`ImportCredit`), so
that the same rows in this or any later file change nothing, and a changed row changes what it says.

States of an import: uploaded → checking → checked → running → done. The cells of a row are forgotten as soon as
it is written; those of refused rows stay for the error file.
"""
