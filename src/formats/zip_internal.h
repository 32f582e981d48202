/* zip_internal.h - the fixed parts of a ZIP file, shared by reader and writer.
 *
 *   local header   PK34 ver flags method time date crc packed size n_name n_extra | name extra
 *   central entry  PK12 made ver flags method time date crc packed size n_name n_extra n_comment
 *                  disk attributes(2+4) offset | name extra comment
 *   zip64 end      PK66 size(8) made ver disk disk n n directory_size directory_at
 *   zip64 locator  PK67 disk zip64_end_at disks
 *   end            PK56 disk disk n n directory_size directory_at n_comment | comment
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_ZIP_INTERNAL_H
#define FC_FORMATS_ZIP_INTERNAL_H

#include "base/file.h"
#include "formats/zip.h"

enum {
    ZIP_LOCAL = 0x04034b50,
    ZIP_CENTRAL = 0x02014b50,
    ZIP_END = 0x06054b50,
    ZIP_END64 = 0x06064b50,
    ZIP_LOCATOR64 = 0x07064b50,
    ZIP_DESCRIPTOR = 0x08074b50,

    ZIP_LOCAL_BYTES = 30,
    ZIP_CENTRAL_BYTES = 46,
    ZIP_END_BYTES = 22,
    ZIP_END64_BYTES = 56,
    ZIP_LOCATOR64_BYTES = 20,

    ZIP_STORED = 0,
    ZIP_DEFLATED = 8,
    ZIP_EXTRA64 = 1, /* id of the zip64 extra field */
    ZIP_ENCRYPTED = 1,
    ZIP_HAS_DESCRIPTOR = 8,
    ZIP_DATE = 0x21 /* 1980-01-01 */
};

struct fc_zip {
    fc_map map;
    char *path;
    fc_zip_member *members;        /* [n] in directory order */
    const fc_zip_member **by_name; /* [n] sorted */
    char *names;                   /* all, each with its zero byte */
    int64_t n;
};

#endif
