// Registers the bot with the Azure Bot Service, and connects it to Teams. Free of charge (F0).
//
//   az deployment group create --resource-group GROUP --template-file infra/teams/azure-bot.bicep \
//     --parameters appId=GUID tenantId=GUID bridgeUrl=https://...

@description('The name of the resource, unique in all of Azure.')
@minLength(4)
@maxLength(42)
param name string = 'teams-bridge-${uniqueString(resourceGroup().id)}'

@description('The name of the bot in the portal.')
@maxLength(255)
param displayName string = 'Contact Center Bridge'

@description('The Application (client) ID of the bot\'s registration in Entra ID, as in `cargo teams-app --app-id`.')
@minLength(36)
@maxLength(36)
param appId string

@description('The directory (tenant) ID of that registration.')
@minLength(36)
@maxLength(36)
param tenantId string

@description('The output BridgeUrl of the stack, without a slash at its end.')
param bridgeUrl string

resource bot 'Microsoft.BotService/botServices@2022-09-15' = {
  name: name
  location: 'global'
  kind: 'azurebot'
  sku: {
    name: 'F0'
  }
  properties: {
    displayName: displayName
    endpoint: '${bridgeUrl}/teams/messages'
    msaAppId: appId
    msaAppTenantId: tenantId
    // New bots of several tenants are refused since August 2025, and a managed identity works inside of Azure only.
    msaAppType: 'SingleTenant'
  }
}

resource teams 'Microsoft.BotService/botServices/channels@2022-09-15' = {
  parent: bot
  name: 'MsTeamsChannel'
  location: 'global'
  properties: {
    channelName: 'MsTeamsChannel'
  }
}
