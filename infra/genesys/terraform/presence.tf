# Presence, one way or the other: events to the bridge's mirror, or a workflow that calls a data action.

locals {
  event_sources = "aws.partner/genesys.com/cloud/${data.genesyscloud_organizations_me.org.id}"
}

data "genesyscloud_organizations_me" "org" {}

resource "genesyscloud_integration" "events" {
  count = var.aws_account_id == "" ? 0 : 1

  intended_state   = "ENABLED"
  integration_type = "amazon-eventbridge-source"
  config {
    name = "${local.name} events"
    properties = jsonencode({
      eventSourceSuffix = var.event_source_suffix
      awsAccountId      = var.aws_account_id
      awsAccountRegion  = var.aws_region
      eventFilter       = ["v2.users.{id}.presence", "v2.users.{id}.activity"]
    })
    advanced = jsonencode({})
  }
}

resource "genesyscloud_flow" "presence" {
  count = var.presence_workflow ? 1 : 0

  filepath     = "${local.files}/flows/teams-presence.yaml"
  force_unlock = true
  # The workflow finds the data action by its name, so it is published after it, and again when it was made anew.
  update_trigger_hash = genesyscloud_integration_action.bridge["update-presence"].id
}

resource "genesyscloud_processautomation_trigger" "presence" {
  count = var.presence_workflow ? 1 : 0

  name        = local.trigger.name
  description = local.trigger.description
  topic_name  = local.trigger.topicName
  enabled     = local.trigger.enabled
  target {
    id   = genesyscloud_flow.presence[0].id
    type = local.trigger.target.type
    workflow_target_settings {
      data_format = local.trigger.target.workflowTargetSettings.dataFormat
    }
  }
  # A presence that is older is not shown: a newer one may have been.
  event_ttl_seconds = local.trigger.eventTTLSeconds
  match_criteria = jsonencode(concat(
    local.trigger.matchCriteria,
    length(var.presence_users) == 0 ? [] : [{ jsonPath = "id", operator = "In", values = var.presence_users }],
  ))
}
