#Requires -Version 7.4
#Requires -Modules MicrosoftTeams
<#
.SYNOPSIS
Lets the Teams Bridge make online meetings for organizers: the application access policy of Microsoft Teams.

.DESCRIPTION
Register-TeamsBridge.ps1 runs this in a process of its own, because the modules Microsoft.Graph.Authentication and
MicrosoftTeams bring the same libraries in different versions. A Teams administrator who may not register applications
runs it alone.

It changes only what differs. With -WhatIf it reads, says what it would do, and changes nothing.

.PARAMETER TenantId
The tenant, by its id or a domain of it.

.PARAMETER AppId
The client id of the registration Teams Bridge.

.PARAMETER PolicyName
The application access policy. A user has one policy at a time, so where organizers have one already, name that: the
bridge is added to its applications.

.PARAMETER OrganizerGroupId
Grants the policy to the members of this group, by its object id.

.PARAMETER AllOrganizers
Grants it to everybody who has no policy of their own or of a group. What is granted to everybody now loses its effect,
so where that lets another application in, or cannot be read, it asks first.

.PARAMETER Force
Asks nothing.

.PARAMETER Remove
Takes the bridge out of the policy again; a policy that holds no other application is taken from everybody and every
group that has it, and deleted.

.PARAMETER TeamsEnvironmentName
The cloud, as Connect-MicrosoftTeams names it. Without it the worldwide one.

.EXAMPLE
./Set-AccessPolicy.ps1 -TenantId contoso.com -AppId APP-ID -OrganizerGroupId GROUP-ID -WhatIf
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory)]
    [string] $TenantId,
    [Parameter(Mandatory)]
    [string] $AppId,
    [string] $PolicyName = 'Teams-Bridge',
    [string] $OrganizerGroupId,
    [switch] $AllOrganizers,
    [switch] $Force,
    [switch] $Remove,
    [string] $TeamsEnvironmentName
)

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'

if (-not $Remove -and -not ($AllOrganizers -xor [bool] $OrganizerGroupId)) {
    throw 'Say who may organize meetings: -OrganizerGroupId for a group''s members, or -AllOrganizers for everybody.'
}

# The applications of a policy; none where there is no such policy.
function Get-AppId([object] $Policy) {
    @(if ($Policy) { $Policy.AppIds } ) | Where-Object { $_ }
}

# The policy of this name, and the one that everybody has who is granted no other: Global.
function Get-Policy([string] $Named) {
    Get-CsApplicationAccessPolicy | Where-Object { $_.Identity -in $Named, "Tag:$Named" } | Select-Object -First 1
}

# The groups that a policy is granted to.
function Get-GrantedGroup([string] $Named) {
    Get-CsGroupPolicyAssignment -PolicyType ApplicationAccessPolicy |
        Where-Object { $_.PolicyName -in $Named, "Tag:$Named" } | ForEach-Object { $_.GroupId }
}

# Makes the policy with the bridge in it. Gives the applications that are in it then.
function Set-Policy {
    $policy = Get-Policy $PolicyName
    $present = @(Get-AppId $policy)
    if (-not $policy) {
        if ($PSCmdlet.ShouldProcess($PolicyName, "Create the application access policy for $AppId")) {
            $null = New-CsApplicationAccessPolicy -Identity $PolicyName -AppIds $AppId -Description 'Teams Bridge'
        }
    }
    elseif ($AppId -notin $present) {
        if ($PSCmdlet.ShouldProcess($PolicyName, "Add $AppId to the application access policy")) {
            $null = Set-CsApplicationAccessPolicy -Identity $PolicyName -AppIds @{ Add = $AppId }
        }
    }
    $present
    $AppId
}

# Grants the policy to everybody. Nobody tells which policy was granted to everybody before, only what it lets in.
function Grant-ToEverybody([string[]] $Allowed) {
    $global = Get-Policy 'Global'
    $now = @(Get-AppId $global)
    if ($AppId -in $now -and @($Allowed | Where-Object { $_ -notin $now }).Count -eq 0) {
        return
    }
    $losing = @($now | Where-Object { $_ -notin $Allowed })
    $question = ''
    if (-not $global) {
        $question = 'What is granted to everybody now cannot be read. If it is a policy of another product, that product ' +
            'stops working for everybody.'
    }
    elseif ($losing.Count -gt 0) {
        $question = "The applications $($losing -join ', ') may act for everybody now, and could not any more. To keep them, say no, " +
            'and run this with the -PolicyName of their policy: the bridge is added to it.'
    }
    if ($question -and $WhatIfPreference) {
        Write-Warning "$question Without -WhatIf this would be asked about first."
    }
    elseif ($question -and -not $Force -and
        -not $PSCmdlet.ShouldContinue("$question Grant $PolicyName to everybody?", 'Application access policy')) {
        throw 'The policy was not granted to everybody. -OrganizerGroupId grants it to a group; -Force asks nothing.'
    }
    if ($PSCmdlet.ShouldProcess($PolicyName, 'Grant the application access policy to everybody')) {
        $null = Grant-CsApplicationAccessPolicy -PolicyName $PolicyName -Global
    }
}

# Grants the policy to a group, which has one policy at a time.
function Grant-ToGroup {
    $assigned = @(Get-CsGroupPolicyAssignment -GroupId $OrganizerGroupId -PolicyType ApplicationAccessPolicy)
    if ($assigned.Count -gt 0 -and $assigned[0].PolicyName -notin $PolicyName, "Tag:$PolicyName") {
        throw ("The group has the application access policy $($assigned[0].PolicyName). Run this again with " +
            "-PolicyName $($assigned[0].PolicyName): the bridge is added to it.")
    }
    if ($assigned.Count -eq 0 -and
        $PSCmdlet.ShouldProcess($PolicyName, "Grant the application access policy to the group $OrganizerGroupId")) {
        $null = Grant-CsApplicationAccessPolicy -PolicyName $PolicyName -Group $OrganizerGroupId
    }
}

# Takes the bridge out of one policy, and the policy away where nothing else is in it.
function Remove-FromPolicy {
    $present = @(Get-AppId (Get-Policy $PolicyName))
    $others = @($present | Where-Object { $_ -ne $AppId })
    if ($AppId -notin $present) {
        return
    }
    if ($others.Count -gt 0) {
        if ($PSCmdlet.ShouldProcess($PolicyName, "Take $AppId out of the application access policy")) {
            $null = Set-CsApplicationAccessPolicy -Identity $PolicyName -AppIds @{ Remove = $AppId }
        }
        return
    }
    foreach ($group in @(Get-GrantedGroup $PolicyName)) {
        if ($PSCmdlet.ShouldProcess($PolicyName, "Take the application access policy from the group $group")) {
            $null = Grant-CsApplicationAccessPolicy -PolicyName $null -Group $group
        }
    }
    if ($PSCmdlet.ShouldProcess($PolicyName, 'Delete the application access policy')) {
        $null = Remove-CsApplicationAccessPolicy -Identity $PolicyName
    }
}

# Takes the bridge from everybody: before its policy is deleted, which is refused while it is granted.
function Remove-FromEverybody {
    $now = @(Get-AppId (Get-Policy 'Global'))
    $named = @(Get-AppId (Get-Policy $PolicyName))
    if ($AppId -notin $now -or @($named | Where-Object { $_ -ne $AppId }).Count -gt 0) {
        return
    }
    if (@($now | Where-Object { $_ -ne $AppId }).Count -gt 0) {
        Write-Warning "What is granted to everybody names the bridge and other applications. Take $AppId out of it by hand."
        return
    }
    if ($PSCmdlet.ShouldProcess($PolicyName, 'Take the application access policy from everybody')) {
        $null = Grant-CsApplicationAccessPolicy -PolicyName $null -Global
    }
}

$teams = @{ TenantId = $TenantId }
if ($TeamsEnvironmentName) {
    $teams.TeamsEnvironmentName = $TeamsEnvironmentName
}
$null = Connect-MicrosoftTeams @teams

if ($Remove) {
    Remove-FromEverybody
    Remove-FromPolicy
}
else {
    $allowed = @(Set-Policy)
    if ($AllOrganizers) {
        Grant-ToEverybody $allowed
    }
    else {
        Grant-ToGroup
    }
}
