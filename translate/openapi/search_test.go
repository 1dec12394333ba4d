package openapi

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir/translate"
	"weir/translate/schema"
)

// questions are plain questions over three APIs and the operation that answers each: "prefix|question|tool".
const questions = `
github|create an issue|issues_create
github|list the open issues of a repository|issues_list-for-repo
github|add a comment to an issue|issues_create-comment
github|close or edit an issue|issues_update
github|lock the conversation of an issue|issues_lock
github|add labels to an issue|issues_add-labels
github|assign people to an issue|issues_add-assignees
github|create a pull request|pulls_create
github|merge a pull request|pulls_merge
github|list the files of a pull request|pulls_list-files
github|request reviewers for a pull request|pulls_request-reviewers
github|list commits of a pull request|pulls_list-commits
github|create a repository in an organization|repos_create-in-org
github|delete a repository|repos_delete
github|get the contents of a file|repos_get-content
github|create or change a file in a repository|repos_create-or-update-file-contents
github|list branches|repos_list-branches
github|protect a branch|repos_update-branch-protection
github|list commits|repos_list-commits
github|compare two commits|repos_compare-commits
github|create a release|repos_create-release
github|upload a release asset|repos_upload-release-asset
github|get the latest release|repos_get-latest-release
github|list contributors of a repo|repos_list-contributors
github|fork a repository|repos_create-fork
github|add a collaborator|repos_add-collaborator
github|search code|search_code
github|search repositories|search_repos
github|find users|search_users
github|list workflow runs|actions_list-workflow-runs
github|cancel a workflow run|actions_cancel-workflow-run
github|download the logs of a workflow run|actions_download-workflow-run-logs
github|trigger a workflow dispatch|actions_create-workflow-dispatch
github|create a repository secret|actions_create-or-update-repo-secret
github|list my gists|gists_list
github|create a gist|gists_create
github|star a repository|activity_star-repo-for-authenticated-user
github|follow a user|users_follow
github|list members of an organization|orgs_list-members
github|list teams|teams_list
github|create a team|teams_create
github|list notifications|activity_list-notifications-for-authenticated-user
github|create a webhook for a repository|repos_create-webhook
github|create a milestone|issues_create-milestone
github|get rate limit status|rate-limit_get
github|render markdown|markdown_render
github|list licenses|licenses_get-all-commonly-used
github|create a git tag object|git_create-tag
github|create a blob|git_create-blob
github|list dependabot alerts for a repo|dependabot_list-alerts-for-repo
stripe|create a customer|PostCustomers
stripe|delete a customer|DeleteCustomersCustomer
stripe|search customers|GetCustomersSearch
stripe|refund a charge|PostRefunds
stripe|list refunds|GetRefunds
stripe|create a payment intent|PostPaymentIntents
stripe|confirm a payment intent|PostPaymentIntentsIntentConfirm
stripe|cancel a payment intent|PostPaymentIntentsIntentCancel
stripe|capture a payment intent|PostPaymentIntentsIntentCapture
stripe|create an invoice|PostInvoices
stripe|finalize an invoice|PostInvoicesInvoiceFinalize
stripe|send an invoice|PostInvoicesInvoiceSend
stripe|void an invoice|PostInvoicesInvoiceVoid
stripe|pay an invoice|PostInvoicesInvoicePay
stripe|create a subscription|PostSubscriptions
stripe|cancel a subscription|DeleteSubscriptionsSubscriptionExposedId
stripe|create a product|PostProducts
stripe|create a price|PostPrices
stripe|list balance transactions|GetBalanceTransactions
stripe|retrieve the balance|GetBalance
stripe|create a payout|PostPayouts
stripe|create a checkout session|PostCheckoutSessions
stripe|create a coupon|PostCoupons
stripe|create a payment link|PostPaymentLinks
stripe|submit evidence for a dispute|PostDisputesDispute
stripe|list disputes|GetDisputes
stripe|create a webhook endpoint|PostWebhookEndpoints
stripe|create a setup intent|PostSetupIntents
stripe|attach a payment method to a customer|PostPaymentMethodsPaymentMethodAttach
stripe|list events|GetEvents
kubernetes-2|create a pod|createCoreV1NamespacedPod
kubernetes-2|list pods in a namespace|listCoreV1NamespacedPod
kubernetes-2|read the log of a pod|readCoreV1NamespacedPodLog
kubernetes-2|delete a pod|deleteCoreV1NamespacedPod
kubernetes-2|evict a pod|createCoreV1NamespacedPodEviction
kubernetes-2|create a deployment|createAppsV1NamespacedDeployment
kubernetes-2|scale a deployment|replaceAppsV1NamespacedDeploymentScale
kubernetes-2|patch a deployment|patchAppsV1NamespacedDeployment
kubernetes-2|list nodes|listCoreV1Node
kubernetes-2|create a namespace|createCoreV1Namespace
kubernetes-2|read a secret|readCoreV1NamespacedSecret
kubernetes-2|create a config map|createCoreV1NamespacedConfigMap
kubernetes-2|list services in a namespace|listCoreV1NamespacedService
kubernetes-2|create a job|createBatchV1NamespacedJob
kubernetes-2|list cron jobs in a namespace|listBatchV1NamespacedCronJob
kubernetes-2|create an ingress|createNetworkingV1NamespacedIngress
kubernetes-2|delete a persistent volume claim|deleteCoreV1NamespacedPersistentVolumeClaim
kubernetes-2|create a role binding|createRbacAuthorizationV1NamespacedRoleBinding
kubernetes-2|read a stateful set|readAppsV1NamespacedStatefulSet
kubernetes-2|list events in a namespace|listCoreV1NamespacedEvent
github|remove a label from an issue|issues_remove-label
github|list comments on an issue|issues_list-comments
github|delete a comment of an issue|issues_delete-comment
github|unlock an issue|issues_unlock
github|list the labels of a repository|issues_list-labels-for-repo
github|create a label|issues_create-label
github|delete a milestone|issues_delete-milestone
github|who can be assigned to issues|issues_list-assignees
github|update a pull request|pulls_update
github|list pull requests|pulls_list
github|list reviews of a pull request|pulls_list-reviews
github|submit a review for a pull request|pulls_submit-review
github|update the branch of a pull request|pulls_update-branch
github|has a pull request been merged|pulls_check-if-merged
github|rename a branch|repos_rename-branch
github|get a branch|repos_get-branch
github|merge a branch|repos_merge
github|get a commit|repos_get-commit
github|delete a file|repos_delete-file
github|delete a release|repos_delete-release
github|list release assets|repos_list-release-assets
github|generate release notes|repos_generate-release-notes
github|list the tags of a repository|repos_list-tags
github|list forks|repos_list-forks
github|list deploy keys|repos_list-deploy-keys
github|create a deployment|repos_create-deployment
github|list the languages of a repository|repos_list-languages
github|get the readme of a repository|repos_get-readme
github|transfer a repository|repos_transfer
github|replace all topics of a repository|repos_replace-all-topics
github|ping a webhook of a repository|repos_ping-webhook
github|search issues and pull requests|search_issues-and-pull-requests
github|search commits|search_commits
github|rerun a workflow|actions_re-run-workflow
github|list jobs of a workflow run|actions_list-jobs-for-workflow-run
github|delete an artifact|actions_delete-artifact
github|list repository secrets|actions_list-repo-secrets
github|delete a workflow run|actions_delete-workflow-run
github|disable a workflow|actions_disable-workflow
github|fork a gist|gists_fork
github|delete a gist|gists_delete
github|block a user|users_block
github|list the emails of the authenticated user|users_list-emails-for-authenticated-user
github|get the authenticated user|users_get-authenticated
github|remove a member from an organization|orgs_remove-member
github|list the members of a team|teams_list-members-in-org
github|mark notifications as read|activity_mark-notifications-as-read
github|list stargazers|activity_list-stargazers-for-repo
github|get a tree|git_get-tree
github|create a reference|git_create-ref
github|list code scanning alerts for a repository|code-scanning_list-alerts-for-repo
github|list secret scanning alerts for a repository|secret-scanning_list-alerts-for-repo
stripe|update a customer|PostCustomersCustomer
stripe|retrieve a customer|GetCustomersCustomer
stripe|list customers|GetCustomers
stripe|list charges|GetCharges
stripe|capture a charge|PostChargesChargeCapture
stripe|cancel a refund|PostRefundsRefundCancel
stripe|retrieve a payment intent|GetPaymentIntentsIntent
stripe|list invoices|GetInvoices
stripe|preview an upcoming invoice|PostInvoicesCreatePreview
stripe|create an invoice item|PostInvoiceitems
stripe|mark an invoice as uncollectible|PostInvoicesInvoiceMarkUncollectible
stripe|resume a subscription|PostSubscriptionsSubscriptionResume
stripe|list subscriptions|GetSubscriptions
stripe|update a product|PostProductsId
stripe|list prices|GetPrices
stripe|create a promotion code|PostPromotionCodes
stripe|delete a coupon|DeleteCouponsCoupon
stripe|close a dispute|PostDisputesDisputeClose
stripe|expire a checkout session|PostCheckoutSessionsSessionExpire
stripe|create a tax rate|PostTaxRates
stripe|cancel a payout|PostPayoutsPayoutCancel
stripe|create a transfer|PostTransfers
stripe|delete a webhook endpoint|DeleteWebhookEndpointsWebhookEndpoint
stripe|detach a payment method|PostPaymentMethodsPaymentMethodDetach
stripe|create a quote|PostQuotes
stripe|accept a quote|PostQuotesQuoteAccept
stripe|create a billing portal session|PostBillingPortalSessions
stripe|issue a credit note|PostCreditNotes
kubernetes-2|list all pods in the cluster|listCoreV1PodForAllNamespaces
kubernetes-2|read a pod|readCoreV1NamespacedPod
kubernetes-2|read the status of a deployment|readAppsV1NamespacedDeploymentStatus
kubernetes-2|list deployments in a namespace|listAppsV1NamespacedDeployment
kubernetes-2|delete a deployment|deleteAppsV1NamespacedDeployment
kubernetes-2|delete a namespace|deleteCoreV1Namespace
kubernetes-2|read a node|readCoreV1Node
kubernetes-2|patch a node|patchCoreV1Node
kubernetes-2|create a secret|createCoreV1NamespacedSecret
kubernetes-2|list secrets in a namespace|listCoreV1NamespacedSecret
kubernetes-2|replace a config map|replaceCoreV1NamespacedConfigMap
kubernetes-2|create a service|createCoreV1NamespacedService
kubernetes-2|delete a service|deleteCoreV1NamespacedService
kubernetes-2|create a cron job|createBatchV1NamespacedCronJob
kubernetes-2|read the status of a job|readBatchV1NamespacedJobStatus
kubernetes-2|create a service account|createCoreV1NamespacedServiceAccount
kubernetes-2|request a token for a service account|createCoreV1NamespacedServiceAccountToken
kubernetes-2|list persistent volumes|listCoreV1PersistentVolume
kubernetes-2|create a network policy|createNetworkingV1NamespacedNetworkPolicy
kubernetes-2|create a replica set|createAppsV1NamespacedReplicaSet
kubernetes-2|list storage classes|listStorageV1StorageClass
kubernetes-2|create a cluster role|createRbacAuthorizationV1ClusterRole
`

// TestCheck14_Recall asks plain questions: how often the operation that answers one is first, and among the first five.
func TestCheck14_Recall(t *testing.T) {
	if testing.Short() {
		t.Skip("reads the largest descriptions")
	}
	indexes := make(map[string]*translate.Index)
	names := make(map[string][]string)
	asked, first, five := 0, 0, 0
	for line := range strings.Lines(strings.TrimSpace(questions)) {
		parts := strings.Split(strings.TrimSpace(line), "|")
		prefix, question, want := parts[0], parts[1], parts[2]
		if indexes[prefix] == nil {
			var documents []translate.Document
			for _, x := range translateText(t, corpus(t, prefix)[0], Spec{}).tools {
				documents = append(documents, x.Document)
				if key := translate.PortableName(x.Key); key != x.Name { // names that were cut
					names[prefix] = append(names[prefix], key)
					continue
				}
				names[prefix] = append(names[prefix], x.Name)
			}
			indexes[prefix] = translate.NewIndex(documents)
		}
		asked++
		if !slices.Contains(names[prefix], want) {
			t.Errorf("%s is no operation", want)
		}
		at := -1
		var found []string
		for i, hit := range indexes[prefix].Search(question, 5, func(int) bool { return true }) {
			found = append(found, names[prefix][hit])
			if names[prefix][hit] == want {
				at = i
			}
		}
		if at == 0 {
			first++
		}
		if at >= 0 {
			five++
		} else {
			t.Logf("%s: %s is not in %v", question, want, found)
		}
	}
	if asked < 200 {
		t.Errorf("%d questions are fewer than 200", asked)
	}
	t.Logf("%d questions: first %d %%, in the first five %d %%", asked, 100*first/asked, 100*five/asked)
	if 100*five < 92*asked {
		t.Error("fewer than 92 % are among the first five")
	}
}

// TestCheck14_Tokens follows each question through the three tools: what is read and written for the search, the description of the operation and its call
// is at most 3,000 tokens.
func TestCheck14_Tokens(t *testing.T) {
	if testing.Short() {
		t.Skip("reads the largest descriptions")
	}
	apis, tools := make(map[string]*API), make(map[string]map[string]*tool)
	var costs []int
	for line := range strings.Lines(strings.TrimSpace(questions)) {
		parts := strings.Split(strings.TrimSpace(line), "|")
		prefix, question, want := parts[0], parts[1], parts[2]
		if apis[prefix] == nil {
			f := corpus(t, prefix)[0]
			apis[prefix] = newAPI(t, string(f.text), Spec{Server: "https://h.test", Spec: translate.Spec{Mode: translate.ModeDynamic}}, translate.Options{})
			tools[prefix] = make(map[string]*tool)
			for _, x := range translateText(t, f, Spec{}).tools {
				tools[prefix][x.Name], tools[prefix][translate.PortableName(x.Key)] = x, x
			}
		}
		x := tools[prefix][want]
		if x == nil {
			t.Fatalf("%s is no operation", want)
		}
		bytes := 0
		for name, arguments := range map[string]string{"search_api": fmt.Sprintf(`{"query":%q}`, question), "describe_api": fmt.Sprintf(`{"names":[%q]}`, x.Name)} {
			got, err := call(t, apis[prefix], name, arguments)
			if err != nil || got.True("isError") {
				t.Fatalf("%s %s: %v, %v", name, arguments, got, err)
			}
			bytes += len(arguments) + len(textOf(got))
		}
		sample := schema.Sampler{Defs: x.Input.Full.Defs}
		bytes += len(fmt.Sprintf(`{"name":%q,"arguments":%s}`, x.Name, sample.Value(x.Input.Full.Root).JSON()))
		costs = append(costs, bytes/translate.BytesPerToken)
	}
	slices.Sort(costs)
	n := len(costs)
	within := 0
	for _, c := range costs {
		if c <= 3000 {
			within++
		}
	}
	t.Logf("%d questions: the median costs %d tokens, 9 of 10 at most %d, the dearest %d; %d are within 3000", n, costs[n/2], costs[n*9/10], costs[n-1], within)
	if costs[n*9/10] > 3000 {
		t.Error("of ten questions, more than one costs over 3000 tokens")
	}
}
