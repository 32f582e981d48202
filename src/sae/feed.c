/* feed.c - what all feeds share.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/feed.h"

void fc_feed_close(fc_feed *feed)
{
    if (feed != NULL) feed->ops->close(feed);
}

fc_norm_kind fc_feed_target_norm(fc_norm_kind kind)
{
    return kind == FC_NORM_CENTER_UNIT ? FC_NORM_CENTER_SCALE : kind;
}
