/* fuzz_instream.c - a file through the decompressing reader, by lines and by bytes in turn.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "formats/instream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    enum { READ_MAX = 1 << 24 }; /* a few bytes can stand for gigabytes */
    fc_instream *in = NULL;
    fc_err err;
    const char *const path = fuzz_file("x", data, n_bytes);
    if (fc_instream_open(&in, path, &err) == FC_OK) {
        char bytes[1000];
        const char *line = NULL;
        int64_t n = 0, n_seen = 0;
        size_t n_read = 1;
        bool is_end = false;
        while (n_seen < READ_MAX && !is_end && n_read > 0) {
            if (fc_instream_line(in, &line, &n, &is_end, &err) != FC_OK) break;
            if (fc_instream_read(in, bytes, sizeof bytes, &n_read, &err) != FC_OK) break;
            n_seen += n + (int64_t)n_read;
        }
        fc_instream_close(in);
    }
    (void)unlink(path);
    return 0;
}
