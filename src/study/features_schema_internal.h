/* features_schema_internal.h - the tables of features.db, shared by its writer and its reader.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_FEATURES_SCHEMA_INTERNAL_H
#define FC_STUDY_FEATURES_SCHEMA_INTERNAL_H

#include <stdint.h>

/* PRAGMA application_id ("FcFt") and user_version of the file. A change of any table that readers
 * depend on raises the version. */
enum { FC_FEATURES_APPLICATION_ID = 0x46634674, FC_FEATURES_VERSION = 3 };

typedef struct fc_features_table {
    const char *name;
    const char *sql; /* CREATE TABLE as it stands in the file, comments and all */
} fc_features_table;

extern const fc_features_table fc_features_tables[];
extern const int64_t fc_features_n_tables;

extern const char fc_features_extras[]; /* indices and views, created after the rows */

#endif
