/* `marram coordinator --check-journal DIR`: what a coordinator's journal holds, for support. */
#ifndef CLI_CHECK_JOURNAL_H
#define CLI_CHECK_JOURNAL_H

/* Reads the journal of a state folder, changes nothing, and says on stdout what there is; the
 * exit status. */
int check_journal(const char *state);

#endif
