# The Genesys Cloud side of the Teams Bridge. What an action, a trigger, the workflow and the script are is said in the
# files beside this directory, which are the ones that are imported by hand; nothing of them is repeated here.

locals {
  name  = "Teams Bridge"
  files = "${path.module}/.."

  actions = {
    for file in fileset("${local.files}/data-actions", "*.custom.json") :
    trimsuffix(file, ".custom.json") => jsondecode(file("${local.files}/data-actions/${file}"))
  }
  token   = jsondecode(file("${local.files}/data-actions/bridge-token.customAuth.json"))
  script  = jsondecode(file("${local.files}/escalate-to-teams.script"))
  trigger = jsondecode(file("${local.files}/flows/teams-presence.trigger.json"))
}

# --- The data actions -----------------------------------------------------------------------------

resource "genesyscloud_integration_credential" "caller" {
  name                 = local.name
  credential_type_name = "userDefinedOAuth"
  fields = {
    login_url     = var.login_url
    tenant_id     = var.tenant_id
    client_id     = var.client_id
    client_secret = var.client_secret
    scope         = var.scope
  }
}

resource "genesyscloud_integration" "bridge" {
  intended_state   = "ENABLED"
  integration_type = local.token.integrationType
  config {
    name       = local.name
    properties = jsonencode({})
    advanced   = jsonencode({})
    # The key is this one for every type of credential.
    credentials = { basicAuth = genesyscloud_integration_credential.caller.id }
  }
}

resource "genesyscloud_integration_custom_auth_action" "token" {
  integration_id = genesyscloud_integration.bridge.id
  name           = local.token.name
  config_request {
    request_url_template = local.token.config.request.requestUrlTemplate
    request_type         = local.token.config.request.requestType
    request_template     = local.token.config.request.requestTemplate
    headers              = local.token.config.request.headers
  }
  config_response {
    translation_map          = local.token.config.response.translationMap
    translation_map_defaults = local.token.config.response.translationMapDefaults
    success_template         = local.token.config.response.successTemplate
  }
}

# A change of a contract makes an action anew, with another id: publish the workflow and the script again after it.
resource "genesyscloud_integration_action" "bridge" {
  for_each = local.actions

  integration_id         = genesyscloud_integration.bridge.id
  category               = local.name
  name                   = each.value.name
  secure                 = each.value.secure
  config_timeout_seconds = each.value.config.timeoutSeconds
  contract_input         = jsonencode(each.value.contract.input.inputSchema)
  contract_output        = jsonencode(each.value.contract.output.successSchema)
  config_request {
    request_url_template = replace(each.value.config.request.requestUrlTemplate, "https://bridge.invalid", var.bridge_url)
    request_type         = each.value.config.request.requestType
    request_template     = each.value.config.request.requestTemplate
    headers              = each.value.config.request.headers
  }
  config_response {
    translation_map          = each.value.config.response.translationMap
    translation_map_defaults = each.value.config.response.translationMapDefaults
    success_template         = each.value.config.response.successTemplate
  }
  depends_on = [genesyscloud_integration_custom_auth_action.token]
}

# --- The script -----------------------------------------------------------------------------------

resource "genesyscloud_script" "escalate" {
  count = var.script ? 1 : 0

  script_name       = local.script.name
  filepath          = "${local.files}/escalate-to-teams.script"
  file_content_hash = filesha256("${local.files}/escalate-to-teams.script")
  substitutions     = { escalate_to_teams_action_id = genesyscloud_integration_action.bridge["escalate-to-teams"].id }
}

# A queue of your own is left alone: choose its script in Genesys Cloud, or where Terraform has it.
resource "genesyscloud_routing_queue" "trial" {
  count = var.trial_queue == "" ? 0 : 1

  name        = var.trial_queue
  description = "Agents escalate to a Teams meeting."
  default_script_ids = {
    for channel in ["CALL", "CALLBACK", "MESSAGE"] : channel => one(genesyscloud_script.escalate[*].id)
  }

  lifecycle {
    precondition {
      condition     = var.script
      error_message = "trial_queue needs the script: leave script at true."
    }
  }
}

# --- What the bridge may do in Genesys Cloud ------------------------------------------------------

resource "genesyscloud_auth_role" "bridge" {
  name        = local.name
  description = "What the Teams Bridge calls: text messages, and whom an agent is in Teams."
  permission_policies {
    domain      = "conversation"
    entity_name = "message"
    action_set  = var.open_messaging_webhook_url == "" ? ["create"] : ["create", "receive"]
  }
  permission_policies {
    domain      = "directory"
    entity_name = "user"
    action_set  = ["view"]
  }
}

resource "genesyscloud_oauth_client" "bridge" {
  count = var.oauth_client ? 1 : 0

  name                          = local.name
  description                   = "Goes into the bridge's secret in AWS Secrets Manager."
  authorized_grant_type         = "CLIENT-CREDENTIALS"
  access_token_validity_seconds = 86400
  state                         = "active"
  directory_client_secret       = pathexpand(var.oauth_client_secret_directory)
  roles {
    role_id     = genesyscloud_auth_role.bridge.id
    division_id = "*"
  }

  lifecycle {
    precondition {
      condition     = var.oauth_client_secret_directory != ""
      error_message = "Set oauth_client_secret_directory: Genesys Cloud tells the secret this once."
    }
  }
}
