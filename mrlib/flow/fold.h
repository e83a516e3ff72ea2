/* Folds: how accumulators of one key are joined. An accumulator is `lanes` words of 8 bytes. */
#ifndef FLOW_FOLD_H
#define FLOW_FOLD_H

#include <mr/job.h>
#include <stdint.h>

struct fold {
    uint32_t lanes; /* 1 .. MR_LANES_MAX; 0: the job does not fold */
    bool floating;  /* lanes are doubles */
    enum mr_fold lane[MR_LANES_MAX];
};

/* Turns an emitted value (lanes words) into an accumulator in place: MR_COUNT lanes become 1.
 */
void fold_start(const struct fold *fold, void *value);

/* into = fold(into, from), both accumulators. MR_COUNT lanes add, integers wrap. */
void fold_join(const struct fold *fold, void *into, const void *from);

#endif
