//! Finalize: the payer is back, and the platform wants to know now. The PSP is asked; what the page brought along is not
//! believed, so nothing depends on this being called.

use std::collections::BTreeMap;

use super::dto::{FinalizePreauthRequestDto, PreauthResponseDto};
use super::errors::Failure;
use super::once::PREAUTH;
use super::{Billwerk, map};
use crate::core::intent::IntentState;
use crate::flow::identity::Caller;

/// Longest name and value of what a return address brought along.
const DATA_KEY_MAX: usize = 200;
const DATA_VALUE_MAX: usize = 4_000;

impl Billwerk {
    pub(super) async fn finalize_preauth(
        &self,
        caller: &Caller,
        request: FinalizePreauthRequestDto,
    ) -> Result<PreauthResponseDto, Failure> {
        let id = map::id("transactionId", &request.transaction_id)?;
        within_limits(request.finalization_data.as_ref())?;
        let intent = self.find(caller, PREAUTH, &id).await?.ok_or_else(|| Failure::unknown("preauthorisation"))?;
        let main = self.main_of(&intent).await?;
        let (intent, main) = match intent.state {
            IntentState::Open => self.after_asking(intent, main).await?,
            IntentState::Done | IntentState::Refused | IntentState::Closed(_) => (intent, main),
        };
        self.show_preauth(&intent, &main).await
    }
}

fn within_limits(data: Option<&BTreeMap<String, String>>) -> Result<(), Failure> {
    let long = |text: &str, most: usize| text.chars().count() > most;
    match data.into_iter().flatten().any(|(key, value)| long(key, DATA_KEY_MAX) || long(value, DATA_VALUE_MAX)) {
        true => {
            let text = format!("has a key above {DATA_KEY_MAX} or a value above {DATA_VALUE_MAX} characters");
            Err(Failure::data("finalizationData", text))
        }
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::body::read;

    #[test]
    fn what_a_page_brought_along_keeps_its_letter_case_and_has_a_size() {
        let text =
            r#"{"TransactionId":"a","FINALIZATIONDATA":{"pactasTransactionId":"1","Invoice":"2","invoice":"3"}}"#;
        let request: FinalizePreauthRequestDto = read(text.as_bytes()).expect("a request");
        let data = request.finalization_data.expect("data");
        assert_eq!(data.keys().collect::<Vec<_>>(), ["Invoice", "invoice", "pactasTransactionId"]);
        assert_eq!(within_limits(Some(&data)), Ok(()));
        let long = [("k".repeat(DATA_KEY_MAX + 1), String::new()), ("k".to_owned(), "v".repeat(DATA_VALUE_MAX + 1))];
        for pair in long {
            assert!(within_limits(Some(&BTreeMap::from([pair]))).is_err());
        }
        let many: Vec<String> = (0..51).map(|at| format!("\"k{at}\":\"\"")).collect();
        let many = format!(r#"{{"transactionId":"a","finalizationData":{{{}}}}}"#, many.join(","));
        assert!(read::<FinalizePreauthRequestDto>(many.as_bytes()).is_err());
    }
}
