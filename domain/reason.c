/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/reason.h"

#include "base/invariant.h"

#include <stddef.h>
#include <string.h>

struct sentence {
    const char *code;
    const char *english;
    const char *italian;
};

/* clang-format off */
static const struct sentence SENTENCES[REASON_COUNT] = {
    [REASON_NONE] = {"none",
        "Done as asked.",
        "Eseguito come richiesto."},

    [REASON_NOT_ENTITLED] = {"not_entitled",
        "Your role did not allow this change when it was made.",
        "Il tuo ruolo non consentiva questa modifica quando è stata fatta."},
    [REASON_APPEND_ONLY] = {"append_only",
        "Records of this kind are never changed or deleted: add a correction instead.",
        "Queste registrazioni non si modificano né si cancellano: aggiungi una rettifica."},
    [REASON_SERVER_ONLY] = {"server_only",
        "Only the office can set this value.",
        "Solo la sede può impostare questo valore."},
    [REASON_UNKNOWN_ROW] = {"unknown_row",
        "The record no longer exists at the office.",
        "La registrazione non esiste più in sede."},
    [REASON_BAD_REFERENCE] = {"bad_reference",
        "It refers to a record that the office does not have.",
        "Fa riferimento a una registrazione che la sede non possiede."},
    [REASON_CHECK_FAILED] = {"check_failed",
        "A value is outside of what this record allows.",
        "Un valore è fuori dai limiti ammessi per questa registrazione."},
    [REASON_NATURAL_KEY_MERGED] = {"natural_key_merged",
        "The same record had already been entered: the two were joined.",
        "La stessa registrazione esisteva già: le due sono state unite."},
    [REASON_COPY_MERGED] = {"copy_merged", "The other copy of this device had sent this already.",
                            "L'altra copia di questo dispositivo l'aveva già inviato."},
    [REASON_OLDER_EDIT] = {"older_edit",
        "Someone changed the same field later: their value stays, yours is kept aside.",
        "Qualcuno ha cambiato lo stesso campo più tardi: resta il suo valore, il tuo è tenuto."},
    [REASON_WRITTEN_ONCE] = {"written_once",
        "This value had already been written and stays; yours was sent to a person to look at.",
        "Questo valore era già stato scritto e resta; il tuo è stato passato a una persona."},
    [REASON_REVOKED] = {"revoked",
        "The device had been revoked when this was recorded.",
        "Il dispositivo era già stato revocato quando è stato registrato."},
    [REASON_ID_OUT_OF_RANGE] = {"id_out_of_range",
        "The record number does not belong to the device that made it.",
        "L'identificativo non appartiene al dispositivo che lo ha creato."},
    [REASON_TYPE_MISMATCH] = {"type_mismatch",
        "A value has the wrong type for its field.",
        "Un valore è di tipo sbagliato per il suo campo."},
    [REASON_UNKNOWN_TABLE] = {"unknown_table",
        "The office does not know this kind of record.",
        "La sede non conosce questo tipo di registrazione."},
    [REASON_UNKNOWN_COLUMN] = {"unknown_column",
        "The office does not know one of the fields.",
        "La sede non conosce uno dei campi."},
    [REASON_TOO_LARGE] = {"too_large",
        "A value is longer than the limit.",
        "Un valore supera la lunghezza massima."},

    [REASON_COLUMN_DROPPED] = {"column_dropped",
        "The office no longer keeps this field: what was entered is kept here.",
        "La sede non conserva più questo campo: quanto inserito è conservato qui."},
    [REASON_TRANSITION_NOT_ALLOWED] = {"transition_not_allowed",
        "This step is not possible from the present state.",
        "Questo passaggio non è possibile dallo stato attuale."},
    [REASON_NOT_PERMITTED] = {"not_permitted",
        "Your role may not take this step.",
        "Il tuo ruolo non può eseguire questo passaggio."},
    [REASON_SAME_EVENT] = {"same_event",
        "This had already been received; nothing changed.",
        "Era già stato ricevuto; non è cambiato nulla."},
    [REASON_ALREADY_THERE] = {"already_there",
        "This step had already been taken; the earliest time counts.",
        "Questo passaggio era già stato fatto; vale l'ora più antica."},
    [REASON_OVERTAKEN] = {"overtaken",
        "Someone else decided first, after what you had seen; their decision stays.",
        "Qualcun altro ha deciso prima, dopo ciò che avevi visto; resta la sua decisione."},

    [REASON_WORK_BEATS_PLAN] = {"work_beats_plan",
        "The job was given to a colleague, but the first technician was at work: it stays his.",
        "Il lavoro era passato a un collega, ma il primo tecnico era già all'opera: resta a lui."},
    [REASON_DOUBLE_VISIT] = {"double_visit",
        "A colleague worked on the same job: your work is kept as a second visit.",
        "Un collega ha lavorato sullo stesso incarico: il tuo lavoro resta come seconda visita."},
    [REASON_OTHER_TECHNICIAN_WORKED] = {"other_technician_worked",
        "A colleague is working on this job or has finished it.",
        "Un collega sta lavorando a questo incarico o lo ha finito."},
    [REASON_PLAN_CHANGED] = {"plan_changed",
        "The plan has changed meanwhile; the new one is on your device.",
        "Nel frattempo il piano è cambiato; quello nuovo è sul tuo dispositivo."},
    [REASON_ACTIVITY_CANCELLED] = {"activity_cancelled",
        "The job had been cancelled; what you recorded is kept.",
        "L'incarico era stato annullato; ciò che hai registrato è conservato."},
    [REASON_DONE_AFTER_CANCEL] = {"done_after_cancel",
        "The job had been cancelled but was done: it counts as done, the office bills or waives.",
        "L'incarico era annullato ma è stato fatto: vale come fatto, la sede fattura o rinuncia."},
    [REASON_CLOSED_ON_BEHALF] = {"closed_on_behalf",
        "The office had closed this job for you; your times and parts replace its estimate.",
        "La sede aveva chiuso l'incarico per te; i tuoi tempi e ricambi sostituiscono la stima."},
    [REASON_WORK_AFTER_BILLING] = {"work_after_billing",
        "The job had been billed already; only the difference becomes a new charge.",
        "L'incarico era già fatturato; solo la differenza diventa un nuovo addebito."},
    [REASON_ALREADY_BILLED] = {"already_billed",
        "The job has been billed and cannot be opened again without the manager.",
        "L'incarico è fatturato e non si può riaprire senza il responsabile."},
    [REASON_NO_TECHNICIAN] = {"no_technician",
        "No technician is named.",
        "Non è indicato alcun tecnico."},
    [REASON_FINISH_WITHOUT_WORK] = {"finish_without_work",
        "A job is finished with at least one working session or phone call.",
        "Un incarico si chiude con almeno una sessione di lavoro o una telefonata."},
    [REASON_NO_ACCESS_BY_PREVIOUS] = {"no_access_by_previous",
        "A technician who no longer has this job found the site closed.",
        "Un tecnico che non ha più questo incarico ha trovato chiuso."},
    [REASON_CORRECTION_AFTER_APPROVAL] = {"correction_after_approval",
        "The work was approved or billed already; the manager decides on the correction.",
        "Il lavoro era già approvato o fatturato; sulla rettifica decide il responsabile."},

    [REASON_CALL_MERGED] = {"call_merged",
        "The call was joined with another one; your work is under that call.",
        "La chiamata è stata unita a un'altra; il tuo lavoro è sotto quella."},
    [REASON_VISIT_AFTER_CLOSE] = {"visit_after_close",
        "The call had been solved already; the visit is kept with it.",
        "La chiamata era già risolta; la visita resta registrata."},
    [REASON_ANSWERED_WITH_VISIT_OPEN] = {"answered_with_visit_open",
        "The call was solved by phone while a visit is still planned.",
        "La chiamata è stata risolta al telefono mentre una visita è ancora prevista."},
    [REASON_REOPEN_TOO_LATE] = {"reopen_too_late",
        "The time in which the customer can open the call again is over.",
        "È scaduto il tempo in cui il cliente può riaprire la chiamata."},
    [REASON_CLOSE_TOO_EARLY] = {"close_too_early",
        "The call is closed by itself only after the agreed days.",
        "La chiamata si chiude da sola solo dopo i giorni previsti."},
    [REASON_NOT_WAITING_FOR_PARTS] = {"not_waiting_for_parts",
        "The call waits for something else than parts.",
        "La chiamata non è in attesa di ricambi."},
    [REASON_NOT_REMOTE] = {"not_remote",
        "A technician answers a call only in remote work; a visit is recorded as a visit.",
        "Il tecnico risponde a una chiamata solo da remoto; una visita si registra come visita."},
    [REASON_NO_SURVIVING_CALL] = {"no_surviving_call",
        "A duplicate needs the call that stays.",
        "Per un duplicato serve la chiamata che resta."},

    [REASON_NEGATIVE_STOCK] = {"negative_stock",
        "The books hold less than what was taken from this place.",
        "A libro c'è meno di quanto è stato prelevato da questo luogo."},
    [REASON_HELD_FOR_OTHER_CALL] = {"held_for_other_call",
        "The part was held for another call, which now needs a new one.",
        "Il ricambio era riservato a un'altra chiamata, che ora ne richiede uno nuovo."},
    [REASON_WRONG_PLACE] = {"wrong_place",
        "Goods do not move this way between these two places.",
        "La merce non si sposta in questo modo tra questi due luoghi."},
    [REASON_WRONG_OWNER] = {"wrong_owner",
        "Customer goods and own goods were mixed up.",
        "Merce del cliente e merce propria sono state confuse."},
    [REASON_WRONG_ISSUE_MODE] = {"wrong_issue_mode",
        "This part is issued in another way: at use or at picking, never both.",
        "Questo ricambio si scarica in altro modo: all'uso o al prelievo, mai entrambi."},
    [REASON_SERIAL_CONFLICT] = {"serial_conflict",
        "By the books this serial number is somewhere else.",
        "A libro questa matricola si trova altrove."},
    [REASON_SERIAL_MISSING] = {"serial_missing",
        "This part is kept by serial number and none was given.",
        "Questo ricambio è gestito a matricola e non ne è stata indicata una."},
    [REASON_SERIAL_QUANTITY] = {"serial_quantity",
        "A serial number stands for exactly one piece.",
        "Una matricola corrisponde a un solo pezzo."},
    [REASON_QUANTITY_NOT_POSITIVE] = {"quantity_not_positive",
        "A quantity is more than zero.",
        "La quantità deve essere maggiore di zero."},
    [REASON_SAME_PLACE] = {"same_place",
        "Goods move between two different places.",
        "La merce si sposta tra due luoghi diversi."},
    [REASON_TRANSIT_UNCLAIMED] = {"transit_unclaimed",
        "Goods were handed over and nobody has received them for a day.",
        "Merce ceduta che nessuno ha ricevuto da un giorno."},
    [REASON_COUNTED_BEFORE_ARRIVAL] = {"counted_before_arrival",
        "The place was counted before this arrived; the count stays, the loss is corrected.",
        "Il luogo era già inventariato; l'inventario resta, la perdita è rettificata."},

    [REASON_QUOTE_REVISED] = {"quote_revised",
        "The customer accepted an older revision of the quote.",
        "Il cliente ha accettato una revisione precedente del preventivo."},
    [REASON_QUOTE_EXPIRED] = {"quote_expired",
        "The quote was accepted after its last valid day.",
        "Il preventivo è stato accettato dopo la scadenza."},
    [REASON_RMA_NOT_AUTHORISED] = {"rma_not_authorised",
        "The return has no valid authorisation; the goods go to quarantine.",
        "Il reso non ha un'autorizzazione valida; la merce va in quarantena."},
    [REASON_SERIAL_KNOWN_ELSEWHERE] = {"serial_known_elsewhere",
        "An asset with this serial number exists elsewhere: moved, swapped or mistyped?",
        "Esiste altrove una macchina con questa matricola: spostata, scambiata o errore?"},
    [REASON_PARTY_KNOWN_ALREADY] = {"party_known_already",
        "A customer with the same tax code, VAT number or phone exists: one and the same?",
        "Esiste un cliente con lo stesso codice fiscale, partita IVA o telefono: è lo stesso?"},

    [REASON_SEAL_WRONG_KEY] = {"seal_wrong_key",
        "A signed report does not carry the signature of the device that it names.",
        "Un rapporto firmato non porta la firma del dispositivo che indica."},
    [REASON_SEAL_NOT_THESE_ROWS] = {"seal_not_these_rows",
        "A signed report arrived with data other than what was signed.",
        "Un rapporto firmato è arrivato con dati diversi da quelli firmati."},
    [REASON_SEAL_GAP] = {"seal_gap",
        "Before this signed report one of the same device is missing.",
        "Prima di questo rapporto firmato ne manca uno dello stesso dispositivo."},
    [REASON_SEAL_FORK] = {"seal_fork",
        "Two signed reports of one device have the same place: a copy of it, or an old state.",
        "Due rapporti firmati hanno lo stesso posto: un dispositivo copiato o uno stato vecchio."},
};
/* clang-format on */

static const struct sentence *sentence_of(enum reason reason)
{
    invariant(reason >= 0 && reason < REASON_COUNT);
    return &SENTENCES[reason];
}

const char *reason_code(enum reason reason)
{
    return sentence_of(reason)->code;
}

const char *reason_english(enum reason reason)
{
    return sentence_of(reason)->english;
}

const char *reason_italian(enum reason reason)
{
    return sentence_of(reason)->italian;
}

const char *reason_sentence(enum reason reason, enum reason_language language)
{
    return language == REASON_IN_ITALIAN ? reason_italian(reason) : reason_english(reason);
}

enum reason_language reason_language_of(const char *locale)
{
    bool is_italian =
        locale[0] == 'i' && locale[1] == 't' &&
        (locale[2] == '\0' || locale[2] == '_' || locale[2] == '.' || locale[2] == '@');

    return is_italian ? REASON_IN_ITALIAN : REASON_IN_ENGLISH;
}

bool reason_find(const char *code, enum reason *ret_reason)
{
    for (size_t i = 0; i < REASON_COUNT; i++) {
        if (strcmp(SENTENCES[i].code, code) == 0) {
            *ret_reason = (enum reason)i;
            return true;
        }
    }
    return false;
}
