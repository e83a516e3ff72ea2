// A job in C++: words by length, with the standard library, parameters, and an exception at the word "THROW".
#include <mr/job.h>

#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

struct params {
    std::int64_t least;
    double factor;
    bool upper;
    const char *prefix;
};

using seen = std::map<std::string, std::int64_t, std::less<>>;

void setup(mr_task *task)
{
    task->state = new seen;
}

void teardown(mr_task *task)
{
    delete static_cast<seen *>(task->state);
}

void map(mr_task *task, mr_bytes line)
{
    const auto *p = static_cast<const params *>(mr_params(task));
    auto &words = *static_cast<seen *>(task->state);

    for (mr_words w = mr_words_in(line); mr_next_word(&w);) {
        std::string word(w.word.ptr, w.word.len);

        if (word == "THROW")
            throw std::runtime_error("thrown");
        if (static_cast<std::int64_t>(word.size()) >= p->least)
            words[word]++;
    }
}

void merge(mr_task *into, mr_task *from)
{
    for (const auto &[word, n] : *static_cast<seen *>(from->state))
        (*static_cast<seen *>(into->state))[word] += n;
}

void finish(mr_task *task)
{
    const auto *p = static_cast<const params *>(mr_params(task));

    for (const auto &[text, n] : *static_cast<seen *>(task->state)) {
        std::string word = text;

        if (p->upper)
            for (char &c : word)
                c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
        word = p->prefix + word;
        mr_emit(task, mr_bytes{word.data(), word.size()}, static_cast<std::int64_t>(n * p->factor));
    }
}

const mr_param table[] = {
    MR_PARAM(params, least, "1", "shortest word"),
    MR_PARAM(params, factor, "1", "what a word counts"),
    MR_PARAM(params, upper, "false", "in capitals"),
    MR_PARAM(params, prefix, "", "before each word"),
    {},
};

} // namespace

extern "C" const struct mr_job mr_job = {
    MR_HEADER,
    .name = "cxx_job",
    .params = table,
    .params_size = sizeof(params),
    .fold = MR_SUM_I64,
    .setup = setup,
    .teardown = teardown,
    .map = map,
    .merge = merge,
    .finish = finish,
};
