#!/usr/bin/env bash
# A first payout with nothing but curl: payee, product, rule, revenue, calculation, result.
#
#   ALLIANTRA_URL=http://127.0.0.1:8000 ALLIANTRA_API_KEY=alli_live_… bash docs/tutorials/first-payout.sh
#
# Run it again and nothing doubles: records are found by their external ids.
set -euo pipefail

url="${ALLIANTRA_URL:-http://127.0.0.1:8000}"
key="${ALLIANTRA_API_KEY:?Set ALLIANTRA_API_KEY to a key of your workspace.}"

# Method, path and body of a call; prints the answer, and ends the script where the call is refused.
call() {
  local answer
  if ! answer=$(curl --silent --show-error --fail-with-body -X "$1" "$url$2" \
    -H "Authorization: Bearer $key" -H "Content-Type: application/json" ${3:+-d "$3"}); then
    echo "$1 $2 was refused: $answer" >&2
    exit 1
  fi
  echo "$answer"
}

# The first text that a JSON document gives a member.
member() {
  [[ $2 =~ \"$1\":\"([^\"]*)\" ]] && echo "${BASH_REMATCH[1]}"
}

echo "1. The key is good:"
call GET /api/allocora/ping

echo "2. A payee:"
payee=$(call POST /api/v1/payees/upsert '{
  "external_id": "partner_001",
  "operation": "create_or_update",
  "name": "Northwind Partner",
  "type": "affiliate",
  "status": "active"
}')
payee_id=$(member id "$payee")
echo "   $payee_id"

echo "3. A product, whose external id revenue will name:"
product=$(call POST /api/v1/products/upsert '{
  "external_id": "sku_annual_pro",
  "operation": "create_or_update",
  "name": "Annual Pro Plan",
  "category": "saas_subscription"
}')
product_id=$(member id "$product")
echo "   $product_id"

echo "4. A rule: the payee gets 20 % of what that product brings:"
rule=$(call POST /api/v1/rules/upsert '{
  "external_id": "rule_partner_20_percent",
  "operation": "create_or_update",
  "name": "Partner 20 percent",
  "status": "active",
  "priority": 100,
  "allocation_type": "flat",
  "allocations": [{"payee_id": "'"$payee_id"'", "percentage": 20}],
  "scope": {"product_ids": ["'"$product_id"'"]}
}')
echo "   $(member id "$rule")"

echo "5. A sale and a refund. Sent again, they are skipped as duplicates:"
call POST /api/v1/revenues/batch '{"records": [
  {
    "external_id": "invoice_123",
    "external_product_identifier": "sku_annual_pro",
    "type": "sale",
    "amount": "249.000",
    "currency": "USD",
    "occurred_at": "2026-05-31T10:00:00+00:00"
  },
  {
    "external_id": "invoice_123_refund",
    "original_external_id": "invoice_123",
    "external_product_identifier": "sku_annual_pro",
    "type": "refund",
    "amount": "-49.000",
    "currency": "USD",
    "occurred_at": "2026-05-31T18:00:00+00:00"
  }
]}' | grep -o '"outcome":"[a-z_]*"' | sed 's/^/   /'

echo "6. What is owed for May:"
run=$(call POST /api/v1/calculation-runs '{
  "period_start": "2026-05-01",
  "period_end": "2026-05-31",
  "currency": "USD"
}')
run_id=$(member id "$run")
while [ "$(member status "$run")" = calculating ]; do
  sleep 1
  run=$(call GET "/api/v1/calculation-runs/$run_id")
done
echo "   run $run_id is $(member status "$run")"

echo "7. Who gets what:"
call GET "/api/v1/calculation-runs/$run_id/payees"

echo "8. The rows behind it:"
call GET "/api/v1/revenues?date_from=2026-05-01&date_to=2026-05-31&currency=USD&per_page=5"
