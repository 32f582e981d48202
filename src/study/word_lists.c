/* word_lists.c - English words by class: what descriptions of features know of the language.
 *
 * One table. Words are in lower case; a list that wants capitals holds names, and one that wants
 * lower case holds words that are names otherwise ("may"). A word may be in several lists. The
 * table is searched by walking it: it is asked once for each token of a vocabulary.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "study/token_class_internal.h"

typedef enum written { ANY, CAPITAL, SMALL } written;

typedef struct word_list {
    fc_token_class class;
    written written;
    const char *words; /* between spaces, one before the first and after the last */
} word_list;

static const word_list lists[] = {
    {FC_CLASS_MONTH, CAPITAL,
     " january february march april may june july august september october november "
     "december jan feb mar apr jun jul aug sep sept oct nov dec "},
    {FC_CLASS_WEEKDAY, CAPITAL,
     " monday tuesday wednesday thursday friday saturday sunday "},
    {FC_CLASS_SEASON, ANY, " spring summer autumn winter fall "},
    {FC_CLASS_TIME_UNIT, ANY,
     " seconds minute minutes hour hours day days week weeks month months year "
     "years decade decades century centuries millennium "},
    {FC_CLASS_LENGTH, ANY,
     " km kilometre kilometres kilometer kilometers m metre metres meter meters cm "
     "centimetres centimeters mm millimetres millimeters mi mile miles ft foot feet "
     "inch inches yard yards yd nm "},
    {FC_CLASS_UNIT, ANY,
     " kg kilograms kilogram g grams lb lbs pounds tons tonnes ton oz ounces hectares ha "
     "acres acre litres liters l ml km2 mph knots kn kw mw watts volts hz mhz ghz khz "
     "degrees percent % kb mb gb dollars euros million billion "},
    {FC_CLASS_ORDINAL_END, SMALL, " th st nd rd "},
    {FC_CLASS_ORDINAL, ANY,
     " first second third fourth fifth sixth seventh eighth ninth tenth last final "},
    {FC_CLASS_NUMBER_WORD, ANY,
     " one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
     "fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty hundred "
     "thousand million billion dozen several "},
    {FC_CLASS_ARTICLE, ANY, " a an the "},
    {FC_CLASS_DEMONSTRATIVE, ANY, " this that these those such "},
    {FC_CLASS_SUBJECT_PRONOUN, ANY, " i he she it we they you "},
    {FC_CLASS_OBJECT_PRONOUN, ANY,
     " me him her us them himself herself itself themselves "},
    {FC_CLASS_POSSESSIVE, ANY, " my his her its our their your whose "},
    {FC_CLASS_PREPOSITION, ANY,
     " of in on at by for from to with into onto over under between among through during "
     "before after against about around near behind beyond within without across along "
     "upon via per since until toward towards above below beside besides despite "
     "throughout off out up down "},
    {FC_CLASS_CONJUNCTION, ANY,
     " and or but nor yet so because although though while whereas if unless when as "
     "than "
     "that whether once since "},
    {FC_CLASS_QUESTION_WORD, ANY,
     " who whom whose which what where when why how whoever whatever "},
    {FC_CLASS_BE, ANY, " be is are was were been being am "},
    {FC_CLASS_HAVE, ANY, " have has had having "},
    {FC_CLASS_MODAL, SMALL, " can could may might must shall should will would cannot "},
    {FC_CLASS_NEGATION, ANY, " not no never neither nor none nothing without n't "},
    {FC_CLASS_QUANTIFIER, ANY,
     " all any both each every few many most much some several more less fewer other "
     "another various numerous half "},
    {FC_CLASS_COMPARATIVE, ANY,
     " more most less least better best worse worst larger largest greater greatest "
     "higher highest lower lowest older oldest younger youngest than longer longest "
     "smaller smallest bigger biggest earlier later further same similar "},
    {FC_CLASS_SPEECH, ANY,
     " said says say stated states claimed argued wrote described noted reported "
     "explained suggested announced called told asked praised commented remarked "
     "believed believes considered criticized added declared confirmed revealed "
     "thought felt found "},
    {FC_CLASS_ADVERB, ANY,
     " also only then however later now still already soon often again even very too "
     "just "
     "here there thus therefore instead moreover furthermore nevertheless meanwhile "
     "together almost once ever always well rather quite "},
    {FC_CLASS_KINSHIP, ANY,
     " father mother son daughter brother sister wife husband parents children child "
     "family uncle aunt nephew niece cousin grandfather grandmother grandson widow "
     "sons daughters brothers sisters siblings "},
    {FC_CLASS_PERSON, ANY,
     " man men woman women people person boy girl boys girls student students member "
     "members player players artist actor actress writer author director singer "
     "musician politician lawyer journalist teacher professor scientist engineer "
     "architect soldier officer footballer historian poet painter composer residents "
     "workers fans citizens leader founder friend "},
    {FC_CLASS_TITLE, ANY,
     " mr mrs ms dr sir lord lady king queen prince princess president minister emperor "
     "pope bishop archbishop captain colonel general major lieutenant sergeant admiral "
     "governor mayor senator duke earl count saint st judge chairman secretary "
     "professor cardinal chancellor ambassador chief commander "},
    {FC_CLASS_FIRST_NAME, CAPITAL,
     " john william james george charles robert thomas henry joseph edward david michael "
     "richard peter paul frank albert arthur walter fred frederick louis samuel daniel "
     "andrew martin philip alexander benjamin stephen steven mark matthew anthony "
     "patrick kevin brian gary scott eric jack jim tom bob bill joe mike dan tim ben sam "
     "max ryan jason chris christopher adam alan simon ian tony harry ralph howard carl "
     "karl hans johann franz juan jose carlos luis pedro maria mary elizabeth anna anne "
     "ann margaret sarah jane alice emma lucy susan linda barbara helen ruth laura lisa "
     "jennifer michelle nancy karen julia kate catherine rachel rebecca amy emily "
     "victoria charlotte grace rose sophie martha nicholas jonathan edwin ernest herbert "
     "lewis francis antonio marco ivan ali ahmed mohammad muhammad jean pierre "},
    {FC_CLASS_DIRECTION, ANY,
     " north south east west northern southern eastern western northeast northwest "
     "southeast southwest left right central upper lower "},
    {FC_CLASS_NATIONALITY, CAPITAL,
     " american british english french german italian spanish russian chinese japanese "
     "indian canadian australian irish scottish welsh dutch polish roman greek turkish "
     "european african asian israeli jewish arab persian iranian korean mexican "
     "brazilian swedish norwegian danish austrian hungarian czech portuguese soviet "
     "ukrainian serbian croatian romanian belgian swiss christian catholic muslim "},
    {FC_CLASS_COUNTRY, CAPITAL,
     " america england britain france germany italy spain russia china japan india "
     "canada "
     "australia ireland scotland wales poland greece turkey europe africa asia israel "
     "iran iraq korea mexico brazil sweden norway denmark austria hungary portugal "
     "ukraine serbia croatia romania belgium switzerland pakistan egypt argentina chile "
     "finland vietnam indonesia philippines zealand kingdom states "},
    {FC_CLASS_PLACE, ANY,
     " city town village county state country region district area river lake island "
     "mountain road street park station building church school university college "
     "hospital house bridge castle airport museum library centre center district "
     "province territory border coast valley hill bay port capital "},
    {FC_CLASS_ORGANISATION, ANY,
     " company group organization organisation association club team party union "
     "department government council committee board institute academy foundation "
     "society agency corporation bank ministry office court commission federation "
     "league press "},
    {FC_CLASS_SPORT, ANY,
     " season game games match matches team teams league cup championship championships "
     "player players coach goal goals points point football basketball baseball cricket "
     "hockey tournament race olympics olympic club round final finals win wins won lost "
     "scored played yards runs "},
    {FC_CLASS_MUSIC, ANY,
     " album albums song songs single singles band music film films series episode "
     "episodes show movie video soundtrack track tracks released chart charts recording "
     "concert tour opera actor director "},
    {FC_CLASS_WAR, ANY,
     " war army navy battle troops forces force military attack attacks soldiers ship "
     "ships fleet regiment battalion brigade division squadron corps command weapons "
     "killed wounded enemy artillery infantry cavalry guns siege invasion "},
    {FC_CLASS_POLITICS, ANY,
     " election elections party government parliament minister president vote votes "
     "elected candidate candidates democratic republican law act court policy senate "
     "congress council political constitution legislation bill assembly republic "},
    {FC_CLASS_EDUCATION, ANY,
     " school schools university universities college student students teacher teachers "
     "professor educated education study studied studying studies taught teach teaching "
     "degree graduated graduate graduating degrees doctorate bachelor master academic "
     "academy scholarship thesis attended enrolled class classes course courses "
     "research lecturer faculty campus phd "},
    {FC_CLASS_RELIGION, ANY,
     " church churches catholic christian bishop priest god religious religion saint "
     "holy "
     "pope monastery temple mosque cathedral parish jewish muslim islamic islam buddhist "
     "faith chapel abbey protestant gospel bible prayer monks "},
    {FC_CLASS_COLOUR, ANY,
     " red blue green white black yellow brown grey gray orange pink purple golden "},
};

static bool is_listed(const char *words, const char *word, size_t n)
{
    for (const char *at = words; (at = strstr(at, word)) != NULL; at++)
        if (at[-1] == ' ' && at[n] == ' ') return true;
    return false;
}

uint64_t fc_word_classes(const char *word, bool is_capital)
{
    const size_t n = strlen(word);
    uint64_t classes = 0;
    for (size_t i = 0; n > 0 && i < FC_LEN(lists); i++) {
        if (lists[i].written != ANY && (lists[i].written == CAPITAL) != is_capital)
            continue;
        if (is_listed(lists[i].words, word, n)) classes |= UINT64_C(1) << lists[i].class;
    }
    return classes;
}
