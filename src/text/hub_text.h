/* hub_text.h - texts as people give them, to files: paths stay, names of data sets become the files
 * in the hub's cache.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TEXT_HUB_TEXT_H
#define FC_TEXT_HUB_TEXT_H

#include "base/file.h"

/* Is it a path ("-", a file, a member of an archive), rather than a name? */
bool fc_text_is_path(const char *given);

/* The files that `given` stands for, in order. Names are ORG/NAME[@REVISION][:CONFIG/SPLIT], as in
 * "Salesforce/wikitext:wikitext-103-raw-v1/train". Without a split, "train" where there is one; a
 * data set of several configurations needs one named. What is neither a path nor such a name comes
 * back as it is, for the corpus to complain. Free with fc_names_free. */
fc_status fc_text_find(fc_names *files, const char *given, fc_err *err);

#endif
