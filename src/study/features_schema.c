/* features_schema.c - the tables of features.db, version 3, explained where they are defined.
 *
 * SQLite keeps the text of CREATE TABLE with its comments, so `sqlite3 features.db .schema` prints
 * this file's explanations. The reader compares the text: a file of this version has exactly
 * these tables, and no view, virtual table or generated column can stand in for one.
 *
 * Blobs are plain arrays, little-endian, without a header; their length tells how many.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/features_schema_internal.h"

#include "base/macros.h"

const fc_features_table fc_features_tables[] = {
    {"run", "CREATE TABLE run(\n"
            "  key TEXT PRIMARY KEY,       -- numbers and names of the whole run\n"
            "  value\n"
            ") WITHOUT ROWID"},
    {"feature",
     "CREATE TABLE feature(\n"
     "  id INTEGER PRIMARY KEY,     -- row of W_dec, 0 .. d_sae-1; all of them\n"
     "  max REAL,                   -- largest activation, 0 when it never fires\n"
     "  mean_active REAL,           -- mean over the rows where it fires (> 0)\n"
     "  frequency REAL,             -- n_active / rows\n"
     "  n_active INTEGER,           -- rows where it fires\n"
     "  sum REAL,                   -- of its activations\n"
     "  is_dead INTEGER,            -- 1 when max <= dead_threshold of the run\n"
     "  description TEXT,           -- what it fires on, one line; '' when dead\n"
     "  purity REAL,                -- share of its sum that the description explains\n"
     "  nearest REAL,               -- largest cosine with another live feature, or "
     "NULL\n"
     "  decoder_norm REAL,          -- L2 norm of its row of W_dec\n"
     "  encoder_bias REAL,\n"
     "  token_error REAL,           -- what a share in feature_token may lack\n"
     "  hist BLOB                   -- int64[50]: counts in equal bins of (0, max]; or "
     "NULL\n"
     ")"},
    {"example",
     "CREATE TABLE example(\n"
     "  id INTEGER PRIMARY KEY,\n"
     "  feature INTEGER,\n"
     "  kind INTEGER,               -- 0: strongest; 1 .. quantiles: from that range\n"
     "  rank INTEGER,               -- 1 = strongest of its kind\n"
     "  value REAL,                 -- the activation at the peak\n"
     "  row INTEGER,                -- of the activation store\n"
     "  doc INTEGER,\n"
     "  position INTEGER            -- of the token in its sequence; <bos> is 0\n"
     ")"},
    {"context",
     "CREATE TABLE context(\n"
     "  example INTEGER PRIMARY KEY,\n"
     "  peak INTEGER,               -- which of the tokens is the example's, from 0\n"
     "  n INTEGER,                  -- tokens shown\n"
     "  token_ids BLOB,             -- int32[n]\n"
     "  activations BLOB,           -- float32[n]: of the feature on each\n"
     "  before TEXT,                -- the same as text: before the peak, it, after it\n"
     "  token TEXT,\n"
     "  after TEXT\n"
     ")"},
    {"feature_token",
     "CREATE TABLE feature_token(\n"
     "  feature INTEGER,\n"
     "  rank INTEGER,               -- 1 = most of its activation\n"
     "  token INTEGER,\n"
     "  share REAL,                 -- of the feature's sum; low by at most token_error\n"
     "  n INTEGER,                  -- times it fired there; exact without token_error\n"
     "  PRIMARY KEY(feature, rank)\n"
     ") WITHOUT ROWID"},
    {"feature_neighbour", "CREATE TABLE feature_neighbour(\n"
                          "  feature INTEGER,\n"
                          "  rank INTEGER,               -- 1 = nearest\n"
                          "  neighbour INTEGER,          -- a live feature\n"
                          "  cosine REAL,                -- of their rows of W_dec\n"
                          "  PRIMARY KEY(feature, rank)\n"
                          ") WITHOUT ROWID"},
    {"feature_logit",
     "CREATE TABLE feature_logit(\n"
     "  feature INTEGER,\n"
     "  rank INTEGER,               -- 1, 2, .. most raised; -1, -2, .. most lowered\n"
     "  token INTEGER,\n"
     "  score REAL,                 -- change of the logit, see logit_lens of the run\n"
     "  PRIMARY KEY(feature, rank)\n"
     ") WITHOUT ROWID"},
    {"feature_profile",
     "CREATE TABLE feature_profile(\n"
     "  feature INTEGER,\n"
     "  kind TEXT,                  -- before, after, position, case, slot\n"
     "  rank INTEGER,               -- 1 = most of its activation\n"
     "  text TEXT,\n"
     "  share REAL,                 -- of the feature's sum, estimated from a sample\n"
     "  PRIMARY KEY(feature, kind, rank)\n"
     ") WITHOUT ROWID"},
    {"concept", "CREATE TABLE concept(\n"
                "  id INTEGER PRIMARY KEY,     -- in order of the file of rules\n"
                "  name TEXT,\n"
                "  rule TEXT,                  -- in words\n"
                "  n_rows INTEGER              -- rows on which it holds\n"
                ")"},
    {"concept_feature",
     "CREATE TABLE concept_feature(\n"
     "  concept INTEGER,\n"
     "  rank INTEGER,               -- 1 = largest f1\n"
     "  feature INTEGER,\n"
     "  f1 REAL,                    -- of: its activation is at least the threshold\n"
     "  threshold REAL,             -- the one with the largest f1; 0: whenever it "
     "fires\n"
     "  precision REAL,             -- there\n"
     "  recall REAL,                -- there\n"
     "  auc REAL,                   -- of the activation over all rows\n"
     "  precision_100 REAL,         -- among its 100 strongest rows\n"
     "  PRIMARY KEY(concept, rank)\n"
     ") WITHOUT ROWID"},
    {"document", "CREATE TABLE document(\n"
                 "  id INTEGER PRIMARY KEY,\n"
                 "  title TEXT,\n"
                 "  source TEXT,                -- file\n"
                 "  line INTEGER,               -- where it begins there\n"
                 "  n_tokens INTEGER\n"
                 ")"},
    {"l0_histogram", "CREATE TABLE l0_histogram(\n"
                     "  l0 INTEGER PRIMARY KEY,     -- features that fire on a row\n"
                     "  n_rows INTEGER              -- rows with so many\n"
                     ")"},
    {"token",
     "CREATE TABLE token(\n"
     "  id INTEGER PRIMARY KEY,     -- those that appear in the tables above\n"
     "  piece TEXT,                 -- as in the vocabulary\n"
     "  bytes BLOB                  -- what it stands for; may be a part of a character\n"
     ")"},
};

const int64_t fc_features_n_tables = FC_LEN(fc_features_tables);

const char fc_features_extras[] =
    "CREATE UNIQUE INDEX example_of_feature ON example(feature, kind, rank);\n"
    "CREATE INDEX example_of_document ON example(doc);\n"
    "CREATE INDEX feature_by_max ON feature(max);\n"
    "CREATE INDEX feature_by_frequency ON feature(frequency);\n"
    "CREATE INDEX feature_of_token ON feature_token(token, share);\n"
    "CREATE VIEW strongest AS\n"
    "  SELECT e.feature, e.rank, e.value, c.before, c.token, c.after, d.title\n"
    "  FROM example e JOIN context c ON c.example = e.id "
    "  LEFT JOIN document d ON d.id = e.doc\n"
    "  WHERE e.kind = 0;\n";
