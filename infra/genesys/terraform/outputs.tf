output "data_actions" {
  description = "The data actions' ids, by name."
  value       = { for action in genesyscloud_integration_action.bridge : action.name => action.id }
}

output "script_id" {
  description = "The script's id: for default_script_ids of a queue that is in Terraform already."
  value       = one(genesyscloud_script.escalate[*].id)
}

output "oauth_client_id" {
  description = "client_id of genesys.json, for the bridge's secret."
  value       = one(genesyscloud_oauth_client.bridge[*].client_id)
}

output "event_source" {
  description = "The stack's parameter GenesysEventSource."
  value       = one([for made in genesyscloud_integration.events : "${local.event_sources}/${var.event_source_suffix}"])
}

output "open_messaging_integration_id" {
  description = "The bridge's OPEN_MESSAGING_INTEGRATION_ID."
  value       = one(genesyscloud_conversations_messaging_integrations_open.teams[*].id)
}
